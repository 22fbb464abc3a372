package layout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// containerdName is the annotation in which containerd and docker keep the whole name of an image.
const containerdName = "io.containerd.image.name"

// index is a parsed index.json. Parts that do not change are written again byte for byte.
type index struct {
	before, after []byte // the text before and after the list of entries
	entries       []entry

	once    sync.Once
	labeled map[label][]int  // indexes of entries, by each of their labels
	tagged  map[string][]int // by the tag of each of their labels
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

	labels []label
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

// label is what an entry of index.json is called: a tag in a repository. The repository is "" if the entry has a
// tag and no whole reference.
type label struct{ path, tag string }

func (l label) String() string {
	if l.path == "" {
		return l.tag
	}
	return l.path + ":" + l.tag
}

// read returns the labels of e, the main one first. docker writes a tag beside the whole reference of an image. That
// tag is not the name of an image in the layout, because another image may have the same.
func (e entry) read() []label {
	var all []label
	for _, text := range []string{e.Annotations.Name, e.Annotations.Ref} {
		text, _, pinned := strings.Cut(text, "@")
		path, tag, ok := ref.CutWhole(text)
		if pinned && tag == "" {
			continue // the name of an image without a tag
		}
		if l := (label{path, cmp.Or(tag, "latest")}); ok && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	if len(all) == 0 && ref.Tag(e.Annotations.Ref) == nil {
		all = append(all, label{"", e.Annotations.Ref})
	}
	return all
}

// isNamed reports whether the entry has a name in either annotation.
func (e entry) isNamed() bool { return e.Annotations.Ref != "" || e.Annotations.Name != "" }

// tag returns the tag of the main label, or "".
func (e entry) tag() string {
	if len(e.labels) == 0 {
		return ""
	}
	return e.labels[0].tag
}

// newEntry returns the entry of doc with the name l, or without a name. A whole reference stands where skopeo and
// where containerd look for it.
func newEntry(l label, doc oci.Descriptor) entry {
	e := entry{MediaType: doc.MediaType, Digest: string(doc.Digest), Size: doc.Size}
	d := oci.Descriptor{MediaType: doc.MediaType, Digest: doc.Digest, Size: doc.Size}
	if l.tag != "" {
		e.labels = []label{l}
		e.Annotations.Ref = l.String()
		d.Annotations = map[string]string{v1.AnnotationRefName: l.String()}
	}
	if l.path != "" {
		e.Annotations.Name = l.String()
		d.Annotations[containerdName] = l.String()
	}
	e.raw, _ = json.Marshal(d) // cannot fail, because it has only strings and a number
	return e
}
func isCommon(mediaType string) bool {
	switch mediaType {
	case oci.TypeManifest, oci.TypeIndex, oci.TypeDockerManifest, oci.TypeDockerList:
		return true
	}
	return false
}
