package volume

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Arranged is a bundle whose volumes can be written.
type Arranged struct {
	Contents Contents
	Bundle   oci.Digest
	common   []File            // what each volume has
	blobs    map[int][]File    // by volume
	small    map[string][]byte // the files that are not blobs, by path
}

// Divide sets the volume of each blob of c, in their order, so that no volume has more than most bytes; 0
// means one volume. Each volume needs room for all documents. The error is TooLarge if most is too small.
func Divide(c *Contents, most int64) error {
	c.Volumes = 1
	for i := range c.Blobs {
		c.Blobs[i].Volume = 1
	}
	if most == 0 {
		return nil
	}
	base, err := commonSize(*c)
	if err != nil {
		return err
	}
	room, used := most-base, int64(0)
	for i := range c.Blobs {
		b := &c.Blobs[i]
		size, err := span(blobPath(b.Digest), b.Size)
		if err != nil {
			return err
		}
		size += lineSize
		if size > room {
			return tooSmall(*b, base+size)
		}
		if used+size > room {
			c.Volumes++
			used = 0
		}
		used += size
		b.Volume = c.Volumes
	}
	return nil
}

// lineSize is more than what a blob adds to the list of its volume.
const lineSize = 512

// commonSize returns at most how many bytes a volume without blobs has.
func commonSize(c Contents) (int64, error) {
	c.Volumes = len(c.Blobs)
	c.Blobs = slices.Clone(c.Blobs)
	for i := range c.Blobs {
		c.Blobs[i].Volume = c.Volumes
	}
	a, err := Arrange(c)
	if err != nil {
		return 0, err
	}
	total := int64(trailer + 2*lineSize)
	for _, f := range a.common {
		size, err := span(f.Path, f.Size)
		if err != nil {
			return 0, err
		}
		total += size + lineSize
	}
	return total, nil
}

func tooSmall(b Blob, need int64) error {
	return &fault.Fault{
		Kind: fault.TooLarge,
		Op:   "split bundle",
		Name: string(b.Digest),
		Err:  fmt.Errorf("a volume with this blob and all manifests has %d bytes", need),
		Hint: fmt.Sprintf("use --split %d or more", need),
	}
}

// Arrange makes the lists of the volumes of c. The same contents always have the same lists.
func Arrange(c Contents) (*Arranged, error) {
	c.Format = Format
	contents, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	index, err := json.MarshalIndent(indexOf(c), "", "  ")
	if err != nil {
		return nil, err
	}
	a := &Arranged{Contents: c, Bundle: oci.Sum(contents), blobs: map[int][]File{}, small: map[string][]byte{
		v1.ImageLayoutFile: []byte(layoutText), contentsFile: contents, v1.ImageIndexFile: index,
	}}
	for _, path := range []string{v1.ImageLayoutFile, contentsFile, v1.ImageIndexFile} {
		raw := a.small[path]
		a.common = append(a.common, File{Path: path, Size: int64(len(raw)), Digest: oci.Sum(raw)})
	}
	for _, d := range c.Documents {
		a.common = append(a.common, File{Path: blobPath(d.Digest), Size: d.Size, Digest: d.Digest})
	}
	for _, b := range c.Blobs {
		a.blobs[b.Volume] = append(a.blobs[b.Volume], File{Path: blobPath(b.Digest), Size: b.Size, Digest: b.Digest})
	}
	return a, nil
}

// list returns the list of a volume.
func (a *Arranged) list(volume int) List {
	return List{
		Format: Format, Bundle: a.Bundle, Volume: volume, Volumes: a.Contents.Volumes,
		Files: slices.Concat(a.common, a.blobs[volume]),
	}
}

// Files returns the paths of all files of a bundle in a directory, except that of its list.
func (a *Arranged) Files() map[string]bool {
	all := map[string]bool{}
	for _, f := range a.list(1).Files {
		all[f.Path] = true
	}
	return all
}

// indexOf returns the index.json of c: each name as a whole reference, and referrers without a name, as other
// tools write them.
func indexOf(c Contents) v1.Index {
	docs := map[oci.Digest]Document{}
	for _, d := range c.Documents {
		docs[d.Digest] = d
	}
	x := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
	x.SchemaVersion = 2
	listed := map[oci.Digest]bool{}
	for _, n := range c.Names {
		e := docs[n.Digest].Descriptor()
		if n.Tag != "" || n.Subject == "" {
			e.Annotations = map[string]string{v1.AnnotationRefName: n.String()}
		} else if listed[n.Digest] {
			continue
		}
		listed[n.Digest] = true
		x.Manifests = append(x.Manifests, e)
	}
	slices.SortStableFunc(x.Manifests, func(a, b v1.Descriptor) int {
		return cmp.Compare(a.Annotations[v1.AnnotationRefName], b.Annotations[v1.AnnotationRefName])
	})
	return x
}
