package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// List calls visit with each tag of the repository once, sorted. The repository whose names are tags also has the tags
// of all others. If visit returns an error, List stops and returns
// that error. Entries without a tag are not visited. A tag that several images have is visited,
// but Resolve refuses it. The digests are empty; Resolve returns them, because it also looks at
// the file.
func (d *Dir) List(ctx context.Context, visit func(oci.Listed) error) error {
	x, err := d.readIndex()
	if err != nil {
		return err
	}
	for _, tag := range x.tags(d.repo.Path) {
		if err := canceled(ctx, "list tags", d.repo.String()); err != nil {
			return err
		}
		if err := visit(oci.Listed{Tag: tag}); err != nil {
			return err
		}
	}
	return nil
}

// Images returns the names of all images in the layout, sorted. Nameless returns the images without one.
func (d *Dir) Images() ([]ref.Name, error) {
	x, err := d.readIndex()
	if err != nil {
		return nil, err
	}
	var names []ref.Name
	for _, e := range x.entries {
		if len(e.labels) > 0 {
			names = append(names, d.repo.In(e.labels[0].path).Tagged(e.labels[0].tag))
		}
	}
	slices.SortFunc(names, ref.Name.Compare)
	return slices.Compact(names), nil
}

// document reads and verifies the document that want describes.
func (d *Dir) document(op, reference string, want oci.Descriptor) (oci.Document, error) {
	path, err := blobPath(want.Digest)
	if err != nil {
		return oci.Document{}, err
	}
	raw, err := d.readFile(path, oci.MaxDocument)
	if err != nil {
		return oci.Document{}, d.failed(op, d.name(reference), err)
	}
	if want.MediaType == "" {
		want.MediaType = d.typeOf(want.Digest, raw)
	}
	doc, err := oci.Parse(want, raw)
	if err != nil {
		return oci.Document{}, d.failed(op, d.name(reference), err)
	}
	return doc, nil
}

// typeOf returns the media type in index.json of a document that does not contain its own, or "".
func (d *Dir) typeOf(dgst oci.Digest, raw []byte) string {
	var own struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal(raw, &own) != nil || own.MediaType != "" {
		return ""
	}
	x, err := d.readIndex()
	if err != nil {
		return ""
	}
	for _, e := range x.entries {
		if e.Digest == string(dgst) {
			return e.MediaType
		}
	}
	return ""
}

// size returns the size of the file of dgst, which must be a regular file.
func (d *Dir) size(dgst oci.Digest) (int64, error) {
	path, err := blobPath(dgst)
	if err != nil {
		return 0, err
	}
	if d.root == nil {
		return d.sizeOver(path)
	}
	info, err := d.root.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.over != nil:
		return d.sizeOver(path)
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, &irregular{path}
	}
	return info.Size(), nil
}

// has reports whether b is there with the right size.
func (d *Dir) has(b oci.Descriptor) (bool, error) {
	size, err := d.size(b.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && size == b.Size, err
}

// name returns the full name of a tag or digest, for error messages.
func (d *Dir) name(reference string) string {
	if ref.Digest(reference) == nil {
		return d.repo.At(reference).String()
	}
	return d.repo.Tagged(reference).String()
}

func (d *Dir) corrupt(op string, b oci.Descriptor, size int64) error {
	return &fault.Fault{
		Kind: fault.Corrupt,
		Op:   op,
		Name: d.name(string(b.Digest)),
		Err:  fmt.Errorf("the file has %d bytes, but its descriptor says %d", size, b.Size),
	}
}
