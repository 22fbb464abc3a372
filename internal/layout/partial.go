package layout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Document reads a manifest or an index by any reference that Resolve accepts. It verifies the
// bytes. If the document does not contain its media type, the one from index.json counts.
func (d *Dir) Document(ctx context.Context, reference string) (oci.Document, error) {
	want, err := d.locate(ctx, "read manifest", reference)
	if err != nil {
		return oci.Document{}, err
	}
	doc, err := d.document("read manifest", reference, want)
	if err != nil {
		return doc, d.absent(ctx, "read manifest", d.name(reference), want.Digest, err)
	}
	return doc, nil
}

// Blob reads n bytes of b, beginning at byte at. It can seek, so from is always at. If the size
// of the file differs from the size of b, the error is Corrupt. Blob does not verify the bytes.
// When ctx ends, reading the body fails.
func (d *Dir) Blob(ctx context.Context, b oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	const op = "read blob"
	name := d.name(string(b.Digest))
	if err := canceled(ctx, op, name); err != nil {
		return nil, 0, err
	}
	path, err := blobPath(b.Digest)
	if err != nil {
		return nil, 0, err
	}
	f, err := d.openFile(path)
	if err != nil {
		return nil, 0, d.absent(ctx, op, name, b.Digest, err)
	}
	switch {
	case f.Size() != b.Size:
		err = d.corrupt(op, b, f.Size())
	case at < 0 || at > b.Size:
		err = &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Err: fmt.Errorf("byte %d of %d", at, b.Size)}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if n < 0 || n > b.Size-at {
		n = b.Size - at
	}
	part, left := io.NewSectionReader(f, at, n), n
	read := func(p []byte) (int, error) {
		if err := canceled(ctx, op, name); err != nil {
			return 0, err
		}
		n, err := part.Read(p)
		left -= int64(n)
		switch {
		case err == io.EOF && left > 0:
			err = &fault.Fault{Kind: fault.Corrupt, Op: op, Name: name,
				Err:  fmt.Errorf("the file became shorter while it was read: %d bytes are missing", left),
				Hint: "wait until the file is complete, and run the same again"}
		case err != nil && err != io.EOF:
			err = d.failed(op, name, err)
		}
		return n, err
	}
	return body{read, f}, at, nil
}

// body reads a part of a file.
type body struct {
	read func([]byte) (int, error)
	io.Closer
}

func (b body) Read(p []byte) (int, error) { return b.read(p) }

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
			whole := err == nil
			for _, b := range doc.Blobs {
				present, lookErr := d.has(b)
				whole = whole && present && lookErr == nil
				has = has || b.Digest == dgst
			}
			has = has || c.Digest == dgst
			if whole && oci.NamesPlatform(c.Platform) {
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
