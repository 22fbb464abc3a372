package ends

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
)

// folder makes a directory of skopeo in the stage.
func (g *stage) folder(ctx context.Context, t *tree, files layout.Files) error {
	root, err := g.onlyImage(t)
	if err != nil {
		return err
	}
	if err := os.Mkdir(g.packed(), 0o755); err != nil { //nolint:gosec // as a layout
		return failed("make directory", g.part, err)
	}
	if err := g.write(ctx, versionFile, []byte(versionText)); err != nil {
		return err
	}
	wanted := t.around(root)
	for _, d := range t.order {
		doc, isDocument := t.docs[d.Digest]
		switch {
		case !wanted[d.Digest]:
			continue // of the image that is replaced
		case d.Digest == root:
			err = g.write(ctx, rootFile, doc.Raw)
		case isDocument:
			err = g.write(ctx, d.Digest.Encoded()+rootSuffix, doc.Raw)
		default:
			err = g.copy(ctx, files, d)
		}
		if err != nil {
			return err
		}
	}
	return failed("write directory", g.end.String(), syncDirectory(g.packed()))
}

// onlyImage returns the image that was put: an entry of the index that is new and has no subject.
func (g *stage) onlyImage(t *tree) (oci.Digest, error) {
	var found []oci.Digest
	for _, e := range t.index.Manifests {
		doc, ok := t.docs[e.Digest]
		if ok && !g.before[e.Digest] && doc.Subject == nil {
			found = append(found, e.Digest)
		}
	}
	for _, e := range t.index.Manifests { // only something about the image is new
		doc, ok := t.docs[e.Digest]
		if ok && len(found) == 0 && g.before[e.Digest] && doc.Subject == nil {
			found = append(found, e.Digest)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found) // an image may have several names
	if len(found) == 1 {
		return found[0], nil
	}
	return "", OneImage(g.end, len(found))
}

// around returns the content below root, and below the entries of the index that refer to it.
func (t *tree) around(root oci.Digest) map[oci.Digest]bool {
	wanted := map[oci.Digest]bool{}
	var add func(oci.Digest)
	add = func(d oci.Digest) {
		if wanted[d] {
			return
		}
		wanted[d] = true
		for _, c := range slices.Concat(t.docs[d].Documents, t.docs[d].Blobs) {
			add(c.Digest)
		}
	}
	add(root)
	for before := 0; before < len(wanted); { // a signature of an attestation comes in the second round
		before = len(wanted)
		for _, e := range t.index.Manifests {
			if subject := t.docs[e.Digest].Subject; subject != nil && wanted[subject.Digest] {
				add(e.Digest)
			}
		}
	}
	return wanted
}

// write writes a whole file into the directory.
func (g *stage) write(ctx context.Context, name string, raw []byte) error {
	return g.file(ctx, name, func(f *os.File) error { _, err := f.Write(raw); return err })
}

// copy copies a blob into the directory.
func (g *stage) copy(ctx context.Context, files layout.Files, d oci.Descriptor) error {
	return g.file(ctx, d.Digest.Encoded(), func(f *os.File) error {
		from, err := reader(files, blobName(d.Digest))
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(f, from)
		return err
	})
}

func (g *stage) file(ctx context.Context, name string, fill func(*os.File) error) error {
	const op = "write directory"
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: op, Name: g.end.String(), Err: context.Cause(ctx)}
	}
	path := filepath.Join(g.packed(), name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // as a layout
	if err != nil {
		return failed(op, g.end.String(), err)
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return failed(op, g.end.String(), err)
}
