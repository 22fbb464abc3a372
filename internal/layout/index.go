package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// index is index.json. What we do not change in it is written again byte for byte.
type index struct {
	before, after []byte // the text around the list of entries
	entries       []entry
}

// entry is one of the manifests of index.json.
type entry struct {
	raw json.RawMessage

	MediaType   string `json:"mediaType"`
	Digest      string `json:"digest"`
	Size        int64  `json:"size"`
	Annotations struct {
		Ref  string `json:"org.opencontainers.image.ref.name"`
		Name string `json:"io.containerd.image.name"` // full names, by containerd
	} `json:"annotations"`
}

// descriptor checks what the entry says.
func (e entry) descriptor() (oci.Descriptor, error) {
	if ref.Digest(e.Digest) != nil || e.Size < 0 {
		return oci.Descriptor{}, &fault.Fault{Kind: fault.Refused, Op: "read " + v1.ImageIndexFile, Name: fmt.Sprintf("%.150q", e.Digest), Err: fmt.Errorf("an entry of %d bytes without a sound digest and size", e.Size)}
	}
	return oci.Descriptor{MediaType: e.MediaType, Digest: oci.Digest(e.Digest), Size: e.Size}, nil
}

// isTagged reports whether the entry has a name of any sort.
func (e entry) isTagged() bool { return e.Annotations.Ref != "" || e.Annotations.Name != "" }

// tag is the tag that the entry's annotation says, or "".
func (e entry) tag() string {
	if ref.Tag(e.Annotations.Ref) == nil {
		return e.Annotations.Ref
	}
	return ""
}

// tagPart is the tag of the full name that the entry has, or "".
func (e entry) tagPart() string {
	for _, full := range []string{e.Annotations.Name, e.Annotations.Ref} {
		if !strings.Contains(full, ":") || strings.HasPrefix(full, ref.Layout) {
			continue
		}
		if n, err := ref.Parse(full); err == nil && n.Tag != "" {
			return n.Tag
		}
	}
	return ""
}

// isBare reports whether the entry says no more than where a document is.
func (e entry) isBare() bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(e.raw, &fields) != nil {
		return false
	}
	for key := range fields {
		if key != "mediaType" && key != "digest" && key != "size" {
			return false
		}
	}
	return true
}

func (d *Dir) readIndex() (*index, error) {
	raw, err := d.readFile(v1.ImageIndexFile, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.malformed(v1.ImageIndexFile, "there is none in this layout")
	}
	if err != nil {
		return nil, d.failed("read "+v1.ImageIndexFile, d.repo.String(), err)
	}
	x, err := parseIndex(raw)
	if err != nil {
		return nil, d.malformed(v1.ImageIndexFile, "%w", err)
	}
	return x, nil
}

// parseIndex reads an index.json. "manifests": null is an empty list, as older tools wrote it.
func parseIndex(raw []byte) (*index, error) {
	x := &index{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	found := false
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		key := tok.(string) // before a value, a token of an object is its key
		switch {
		case !strings.EqualFold(key, "manifests"):
			err = dec.Decode(&json.RawMessage{})
		case found || key != "manifests":
			err = fmt.Errorf("the key %q could be read in two ways", key)
		default:
			found = true
			err = x.readEntries(dec, raw)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is text after the object")
	}
	if !found {
		return nil, errors.New("it has no list of manifests")
	}
	return x, nil
}

// readEntries reads the list that dec, which reads raw, comes to next. Entries
// share raw's bytes: a list may be tens of megabytes.
func (x *index) readEntries(dec *json.Decoder, raw []byte) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if tok == nil {
		end := dec.InputOffset()
		x.before, x.after = raw[:end-int64(len("null"))], raw[end:]
		return nil
	}
	if tok != json.Delim('[') {
		return errors.New("manifests is not a list")
	}
	x.before = raw[:dec.InputOffset()-1]
	for item := (json.RawMessage{}); dec.More(); {
		if err := dec.Decode(&item); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		end := dec.InputOffset()
		e := entry{raw: raw[end-int64(len(item)) : end]}
		if err := json.Unmarshal(item, &e); err != nil {
			return fmt.Errorf("manifests[%d] is not a descriptor", len(x.entries))
		}
		x.entries = append(x.entries, e)
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	x.after = raw[dec.InputOffset():]
	return nil
}

// bytes writes the index: one entry a line, and everything else as it was.
func (x *index) bytes() []byte {
	var b bytes.Buffer
	b.Write(x.before)
	b.WriteByte('[')
	for i, e := range x.entries {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(e.raw)
	}
	b.WriteString("\n  ]")
	b.Write(x.after)
	return b.Bytes()
}

// find returns the entry that reference names: a tag, a full name, or "" for
// the only entry. In a layout that is only read, "latest" is also what an only
// entry without a name is called.
func (x *index) find(reference string, mode Mode) (entry, error) {
	if reference == "" {
		return only(x.entries, "several entries and no tag asked for")
	}
	exact, part := []entry{}, []entry{}
	for _, e := range x.entries {
		if e.Annotations.Ref == reference || e.Annotations.Name == reference {
			exact = append(exact, e)
		} else if e.tagPart() == reference {
			part = append(part, e)
		}
	}
	switch {
	case len(exact) > 0:
		return only(exact, "several entries have this name")
	case len(part) > 0:
		return only(part, "several images have this tag")
	case mode == Read && reference == "latest" && len(x.entries) == 1 && !x.entries[0].isTagged():
		return x.entries[0], nil
	}
	return entry{}, fs.ErrNotExist
}

// only returns the one thing that all of list name.
func only(list []entry, why string) (entry, error) {
	if len(list) == 0 {
		return entry{}, fs.ErrNotExist
	}
	for _, e := range list[1:] {
		if e.Digest != list[0].Digest {
			return entry{}, &fault.Fault{Kind: fault.Refused, Op: "choose", Hint: "ask for it by digest: " + list[0].Digest + " or " + e.Digest, Err: errors.New(why)}
		}
	}
	return list[0], nil
}

// tags lists every tag once, in order.
func (x *index) tags() []string {
	var out []string
	for _, e := range x.entries {
		for _, tag := range []string{e.tag(), e.tagPart()} {
			if tag != "" {
				out = append(out, tag)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// point makes tag name doc, and says whether that changed anything. The first
// entry of that tag is replaced where it stands and others of it go; every
// other entry stays as it is.
func (x *index) point(tag string, doc oci.Descriptor) bool {
	had, kept, changed := false, x.entries[:0:0], false
	for _, e := range x.entries {
		switch {
		case e.Annotations.Ref != tag:
			kept = append(kept, e)
		case had:
			changed = true
		case e.Digest == string(doc.Digest) && e.Size == doc.Size:
			had = true
			kept = append(kept, e)
		default:
			had, changed = true, true
			kept = append(kept, newEntry(tag, doc))
		}
	}
	if !had {
		kept, changed = append(kept, newEntry(tag, doc)), true
	}
	x.entries = kept
	return changed
}

// list makes sure that doc is an entry, tagged or not, and says whether it had to.
func (x *index) list(doc oci.Descriptor) bool {
	if slices.ContainsFunc(x.entries, func(e entry) bool { return e.Digest == string(doc.Digest) }) {
		return false
	}
	x.entries = append(x.entries, newEntry("", doc))
	return true
}

// unlist drops the entries of digests that nobody named and nobody annotated,
// and says whether there were any. One with a media type of its own kind stays:
// the document may not name that type itself.
func (x *index) unlist(digests map[string]bool) bool {
	before := len(x.entries)
	x.entries = slices.DeleteFunc(x.entries, func(e entry) bool { return digests[e.Digest] && isCommon(e.MediaType) && e.isBare() })
	return len(x.entries) != before
}

func isCommon(mediaType string) bool {
	switch mediaType {
	case oci.TypeManifest, oci.TypeIndex, oci.TypeDockerManifest, oci.TypeDockerList:
		return true
	}
	return false
}

func newEntry(tag string, doc oci.Descriptor) entry {
	e := entry{MediaType: doc.MediaType, Digest: string(doc.Digest), Size: doc.Size}
	e.Annotations.Ref = tag
	d := oci.Descriptor{MediaType: doc.MediaType, Digest: doc.Digest, Size: doc.Size}
	if tag != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: tag}
	}
	e.raw, _ = json.Marshal(d) // text and a number: it can not fail
	return e
}
