package subject

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/drayage/dray/oci"
)

// maxEntries is the largest number of referrers of one document. So many are read, too.
const maxEntries = 10_000

// list is the index that a referrers tag points to. What others wrote in it stays as it is.
type list struct {
	fields  map[string]json.RawMessage
	entries []json.RawMessage
	digests []oci.Digest // of entries
}

// parse returns the list that doc holds. doc may also be something else: a registry may take the tag
// for the digest, and somebody may use it for an image.
func parse(doc oci.Document, subject oci.Digest) (*list, error) {
	if doc.MediaType != oci.TypeIndex || doc.Digest == subject {
		return nil, fmt.Errorf("it points to something else, %s of type %s", doc.Digest, doc.MediaType)
	}
	l := &list{}
	if err := json.Unmarshal(doc.Raw, &l.fields); err != nil {
		return nil, err
	}
	if raw, ok := l.fields["manifests"]; ok {
		if err := json.Unmarshal(raw, &l.entries); err != nil {
			return nil, err
		}
	}
	for _, raw := range l.entries {
		var d oci.Descriptor
		if err := json.Unmarshal(raw, &d); err != nil {
			return nil, err
		}
		l.digests = append(l.digests, d.Digest)
	}
	if l.has(subject) {
		return nil, errors.New("it points to an index with the image itself, which is no list of what refers to it")
	}
	return l, nil
}

func empty() *list { return &list{fields: map[string]json.RawMessage{}} }

func (l *list) has(d oci.Digest) bool { return slices.Contains(l.digests, d) }

func (l *list) add(d oci.Descriptor) error {
	if l.has(d.Digest) {
		return nil
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	l.entries, l.digests = append(l.entries, raw), append(l.digests, d.Digest)
	return nil
}

// keep removes the entries that are not in have.
func (l *list) keep(have map[oci.Digest]bool) {
	var entries []json.RawMessage
	for i, d := range l.digests {
		if have[d] {
			entries = append(entries, l.entries[i])
		}
	}
	l.entries = entries
	l.digests = slices.DeleteFunc(l.digests, func(d oci.Digest) bool { return !have[d] })
}

// document returns the list as a document.
func (l *list) document() (oci.Document, error) {
	switch {
	case len(l.entries) > maxEntries:
		return oci.Document{}, fmt.Errorf("it has more than %d entries", maxEntries)
	case l.entries == nil:
		l.entries = []json.RawMessage{}
	}
	all, err := json.Marshal(l.entries)
	if err != nil {
		return oci.Document{}, err
	}
	l.fields["schemaVersion"], l.fields["mediaType"] = json.RawMessage("2"), json.RawMessage(`"`+oci.TypeIndex+`"`)
	l.fields["manifests"] = all
	raw, err := json.Marshal(l.fields)
	if err != nil {
		return oci.Document{}, err
	}
	if len(raw) > oci.MaxDocument {
		return oci.Document{}, fmt.Errorf("it is longer than %d MiB", oci.MaxDocument>>20)
	}
	return oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, raw)
}
