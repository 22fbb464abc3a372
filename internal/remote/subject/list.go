package subject

import (
	"encoding/json"
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

// parse returns the list that doc holds. ok is false if doc is something else: a registry may take the
// tag for the digest of subject, and somebody may use it for an image.
func parse(doc oci.Document, subject oci.Digest) (l *list, ok bool) {
	if doc.MediaType != oci.TypeIndex || doc.Digest == subject {
		return nil, false
	}
	l = empty()
	var index struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	if json.Unmarshal(doc.Raw, &l.fields) != nil || json.Unmarshal(doc.Raw, &index) != nil {
		return nil, false
	}
	for _, raw := range index.Manifests {
		var d oci.Descriptor
		if json.Unmarshal(raw, &d) != nil {
			return nil, false
		}
		l.entries, l.digests = append(l.entries, raw), append(l.digests, d.Digest)
	}
	return l, !l.has(subject)
}

func empty() *list { return &list{fields: map[string]json.RawMessage{}, entries: []json.RawMessage{}} }

func (l *list) has(d oci.Digest) bool { return slices.Contains(l.digests, d) }

func (l *list) add(d oci.Descriptor) {
	raw, err := json.Marshal(d)
	if err != nil || l.has(d.Digest) {
		return
	}
	l.entries, l.digests = append(l.entries, raw), append(l.digests, d.Digest)
}

// keep removes the entries that are not in have.
func (l *list) keep(have map[oci.Digest]bool) {
	entries := []json.RawMessage{}
	for i, d := range l.digests {
		if have[d] {
			entries = append(entries, l.entries[i])
		}
	}
	l.entries = entries
	l.digests = slices.DeleteFunc(l.digests, func(d oci.Digest) bool { return !have[d] })
}

// document returns the list as a document. ok is false if it is too long to be one.
func (l *list) document() (doc oci.Document, ok bool) {
	if len(l.entries) > maxEntries {
		return oci.Document{}, false
	}
	all, err := json.Marshal(l.entries)
	if err != nil {
		return oci.Document{}, false
	}
	l.fields["schemaVersion"], l.fields["mediaType"] = json.RawMessage("2"), json.RawMessage(`"`+oci.TypeIndex+`"`)
	l.fields["manifests"] = all
	raw, err := json.Marshal(l.fields)
	if err != nil {
		return oci.Document{}, false
	}
	doc, err = oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, raw)
	return doc, err == nil
}
