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

// index is a parsed index.json. Parts that do not change are written again byte for byte.
type index struct {
	before, after []byte // the text before and after the list of entries
	entries       []entry
}

// entry is one entry of the list of manifests in index.json.
type entry struct {
	raw json.RawMessage

	MediaType   string `json:"mediaType"`
	Digest      string `json:"digest"`
	Size        int64  `json:"size"`
	Annotations struct {
		Ref  string `json:"org.opencontainers.image.ref.name"`
		Name string `json:"io.containerd.image.name"` // containerd writes a full name here
	} `json:"annotations"`
}

// descriptor returns the descriptor in the entry, after checking it.
func (e entry) descriptor() (oci.Descriptor, error) {
	if ref.Digest(e.Digest) != nil || e.Size < 0 {
		return oci.Descriptor{}, &fault.Fault{
			Kind: fault.Refused,
			Op:   "read " + v1.ImageIndexFile,
			Name: fmt.Sprintf("%.150q", e.Digest),
			Err:  fmt.Errorf("an entry with the size %d has an invalid digest or size", e.Size),
		}
	}
	return oci.Descriptor{MediaType: e.MediaType, Digest: oci.Digest(e.Digest), Size: e.Size}, nil
}

// isTagged reports whether the entry has a name in either annotation.
func (e entry) isTagged() bool { return e.Annotations.Ref != "" || e.Annotations.Name != "" }

// tag returns the tag in the ref.name annotation, or "" if that is not a tag.
func (e entry) tag() string {
	if ref.Tag(e.Annotations.Ref) == nil {
		return e.Annotations.Ref
	}
	return ""
}

// tagPart returns the tag of the full name in either annotation, or "".
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

// isBare reports whether the entry has no fields except media type, digest and size.
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
	raw, err := d.readJSON(v1.ImageIndexFile, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.malformed(v1.ImageIndexFile, "the layout has no such file")
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

// parseIndex parses an index.json. It accepts "manifests": null as an empty list, because older
// tools wrote that.
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
		key := tok.(string) // at this position the token of an object is a key, which is a string
		switch {
		case !strings.EqualFold(key, "manifests"):
			err = dec.Decode(&json.RawMessage{})
		case found || key != "manifests":
			err = fmt.Errorf("the key %q is ambiguous", key)
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
		return nil, errors.New("the list of manifests is missing")
	}
	return x, nil
}

// readEntries reads the list that is the next value of dec. dec reads raw. The entries share the
// bytes of raw, because a list may have tens of megabytes.
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

// bytes returns the text of the index. It writes one entry a line and everything else unchanged.
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

// find returns the entry for reference, which is a tag, a full name, or "" for the only entry. In
// a layout opened with Read, "latest" also finds the only entry, if that has no name.
func (x *index) find(reference string, mode Mode) (entry, error) {
	if reference == "" {
		return only(x.entries, "the layout has several entries, and no tag was given")
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

// only returns the first entry of list. All entries must have the same digest.
func only(list []entry, why string) (entry, error) {
	if len(list) == 0 {
		return entry{}, fs.ErrNotExist
	}
	for _, e := range list[1:] {
		if e.Digest != list[0].Digest {
			return entry{}, &fault.Fault{
				Kind: fault.Refused,
				Op:   "choose",
				Hint: "use a digest: " + list[0].Digest + " or " + e.Digest,
				Err:  errors.New(why),
			}
		}
	}
	return list[0], nil
}

// tags returns every tag once, sorted.
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

// point makes tag refer to doc, and reports whether that changed the index. It replaces the first
// entry with that tag in its position and removes other entries with that tag. All other entries
// stay unchanged.
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

// list ensures that doc has an entry, tagged or not, and reports whether it added one.
func (x *index) list(doc oci.Descriptor) bool {
	if slices.ContainsFunc(x.entries, func(e entry) bool { return e.Digest == string(doc.Digest) }) {
		return false
	}
	x.entries = append(x.entries, newEntry("", doc))
	return true
}

// unlist removes the entries of these digests that have neither a name nor annotations. It
// reports whether there were any. It keeps an entry with an uncommon media type, because the
// document may not contain its media type itself.
func (x *index) unlist(digests map[string]bool) bool {
	before := len(x.entries)
	x.entries = slices.DeleteFunc(x.entries, func(e entry) bool {
		return digests[e.Digest] && isCommon(e.MediaType) && e.isBare()
	})
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
	e.raw, _ = json.Marshal(d) // cannot fail, because it has only strings and a number
	return e
}
