package layout

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// absent is failed for the document or the blob dgst. docker saves an index with the content of those platforms that it
// has: if dgst is missing in such an image, the hint names the platforms that are there.
func (d *Dir) absent(ctx context.Context, op, name string, dgst oci.Digest, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return d.failed(op, name, err)
	}
	f := &fault.Fault{Kind: fault.NotFound, Op: op, Name: name, Err: err}
	there := d.beside(ctx, dgst)
	switch {
	case len(there) == 1:
		f.Hint = "use --platform " + there[0] + ", the only one that is there; with --sparse, the index stays as it is"
	case len(there) > 1:
		f.Hint = "use --platform " + strings.Join(there, " --platform ") +
			", which are there; with --sparse, the index stays as it is"
	}
	return f
}

// beside returns the platforms of the first index that dgst belongs to of which all content is there, sorted.
func (d *Dir) beside(ctx context.Context, dgst oci.Digest) []string {
	x, err := d.readIndex()
	if err != nil {
		return nil
	}
	var indexes [][]oci.Descriptor
	seen := map[oci.Digest]bool{}
	d.linking.Lock()
	for _, e := range x.entries {
		if top, err := e.descriptor(); err == nil {
			err = d.walk(ctx, top, seen, func(l *linked) { indexes = append(indexes, l.below) })
			if err != nil {
				break // the hint is left out
			}
		}
	}
	d.linking.Unlock()
	for _, children := range indexes {
		var there []string
		has := false
		for _, c := range children {
			doc, err := d.document("look for", string(c.Digest), c)
			has = has || c.Digest == dgst || slices.ContainsFunc(doc.Blobs, func(b oci.Descriptor) bool { return b.Digest == dgst })
			lacks, lookErr := d.Missing(ctx, doc.Blobs)
			if err == nil && lookErr == nil && len(lacks) == 0 && oci.NamesPlatform(c.Platform) {
				there = append(there, oci.PlatformString(c.Platform))
			}
		}
		if has {
			slices.Sort(there)
			return slices.Compact(there)
		}
	}
	return nil
}
