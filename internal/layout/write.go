package layout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Missing implements transfer.Target. A blob is there if its file has the right size, because a
// file gets its name only after it is complete and verified.
func (d *Dir) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	var out []oci.Descriptor
	for _, b := range blobs {
		name := d.name(string(b.Digest))
		if err := canceled(ctx, "look for blob", name); err != nil {
			return nil, err
		}
		there, err := d.has(b)
		if err != nil {
			return nil, d.failed("look for blob", name, err)
		}
		if !there {
			out = append(out, b)
		}
	}
	return out, nil
}

// Prove implements transfer.Target. It is the same as Missing, which always looks at the disk.
func (d *Dir) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	return d.Missing(ctx, blobs)
}

// Keeps implements transfer.Target. A layout keeps digests of every algorithm.
func (d *Dir) Keeps(_, _ []oci.Descriptor) error { return nil }

// Distrust implements transfer.Target. The next Put of each blob replaces its file.
func (d *Dir) Distrust(blobs []oci.Descriptor) {
	for _, b := range blobs {
		d.doubted.Store(b.Digest, true)
	}
}

// Put implements transfer.Target. It does not use the likely repositories. A blob that is on disk
// is Present; any other blob is read from open. The bytes go into a temporary file. The file gets
// the name of the blob after it is verified and synced to disk. A file of that name with another
// size is replaced.
func (d *Dir) Put(ctx context.Context, b oci.Descriptor, _ []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	const op = "put blob"
	name := d.name(string(b.Digest))
	if err := d.mayWrite(ctx, op, name); err != nil {
		return oci.Arrival{}, err
	}
	v, err := oci.NewVerifier(b)
	if err != nil {
		return oci.Arrival{}, err
	}
	there, err := d.has(b)
	if err != nil {
		return oci.Arrival{}, d.failed(op, name, err)
	}
	if _, doubted := d.doubted.Load(b.Digest); there && !doubted {
		return oci.Arrival{Way: oci.Present}, nil
	}
	from, err := open(ctx, 0)
	if err != nil {
		return oci.Arrival{}, err
	}
	defer from.Close()
	target, err := blobPath(b.Digest)
	if err != nil {
		return oci.Arrival{}, err
	}
	err = d.file(op, name, target, func(f *os.File) error { return d.fill(ctx, f, v, from, b) })
	if err != nil {
		return oci.Arrival{}, err
	}
	d.doubted.Delete(b.Digest)
	return oci.Arrival{Way: oci.Sent, Sent: b.Size}, nil
}

// fill copies b into f and verifies it. It returns an error of from unchanged.
func (d *Dir) fill(ctx context.Context, f *os.File, v *oci.Verifier, from io.Reader, b oci.Descriptor) error {
	name := d.name(string(b.Digest))
	buf := make([]byte, min(max(b.Size, 0)+1, 256<<10)) // of thousands of blobs, most are small
	for {
		n, readErr := from.Read(buf)
		if err := canceled(ctx, "put blob", name); err != nil {
			return err
		}
		if _, err := v.Write(buf[:n]); err != nil {
			return err
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return d.failed("put blob", name, err)
		}
		if readErr == io.EOF {
			return v.Verify()
		}
		if readErr != nil {
			return readErr
		}
	}
}

// PutDocument implements transfer.Target. If a blob or a document below doc is not in the layout,
// the error is NotFound. The subject of doc does not have to be there.
//
// Each tag is one entry of index.json. If an entry has the tag already, it is replaced in its
// position, or stays as it is if it refers to doc. All other entries stay unchanged, byte for
// byte. Without tags, doc gets an entry without a name, unless it has one. That entry is removed
// when doc gets a tag, or when an index that lists doc is put, because doc can then be reached
// from there.
//
// Accepted.Subject is the subject of doc, because Referrers finds doc by its subject.
func (d *Dir) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	const op = "put manifest"
	name := d.name(string(doc.Digest))
	if err := d.mayWrite(ctx, op, name); err != nil {
		return oci.Accepted{}, err
	}
	doc, err := oci.Parse(doc.Descriptor, doc.Raw)
	if err != nil {
		return oci.Accepted{}, err
	}
	below, err := d.Missing(ctx, slices.Concat(doc.Blobs, doc.Documents))
	if err != nil {
		return oci.Accepted{}, err
	}
	if len(below) > 0 {
		return oci.Accepted{}, &fault.Fault{
			Kind: fault.NotFound,
			Op:   op,
			Name: name,
			Err:  fmt.Errorf("it needs %s, which is not in the layout", below[0].Digest),
		}
	}
	if err := d.store(doc); err != nil {
		return oci.Accepted{}, err
	}
	var acc oci.Accepted
	for _, tag := range tags {
		if err := ref.Tag(tag); err == nil {
			acc.Tags = append(acc.Tags, tag)
		} else {
			if acc.Failed == nil {
				acc.Failed = map[string]error{}
			}
			acc.Failed[tag] = err
		}
	}
	if err := d.enter(ctx, doc, acc.Tags); err != nil {
		return oci.Accepted{}, err
	}
	if doc.Subject != nil {
		acc.Subject = doc.Subject.Digest
	}
	return acc, nil
}

// store writes the bytes of doc, unless the file has exactly these bytes.
func (d *Dir) store(doc oci.Document) error {
	target, err := blobPath(doc.Digest)
	if err != nil {
		return err
	}
	if have, err := d.readFile(target, oci.MaxDocument); err == nil && bytes.Equal(have, doc.Raw) {
		return nil
	}
	return d.replace(target, doc.Raw)
}

// enter adds doc to index.json.
func (d *Dir) enter(ctx context.Context, doc oci.Document, tags []string) error {
	c := &change{doc: doc.Descriptor, within: map[string]bool{}}
	for _, tag := range tags {
		c.names = append(c.names, label{d.repo.Path, tag})
		c.within[string(doc.Digest)] = true
	}
	for _, below := range doc.Documents {
		c.within[string(below.Digest)] = true
	}
	return d.change(ctx, "put manifest", c)
}

// Delete removes a tag and nothing else, or a digest with all its names. The content stays on disk, because other
// images may have it too. A digest loses all its names, whatever the other arguments are. The error is NotFound if no
// entry has the name.
func (d *Dir) Delete(ctx context.Context, reference string, _ ...string) error {
	const op = "remove"
	if err := d.mayWrite(ctx, op, d.name(reference)); err != nil {
		return err
	}
	found := false
	c := &change{remove: func(e entry) (entry, keeping) {
		switch {
		case e.Digest == reference:
			found = true
			return e, removed
		case slices.Contains(e.labels, label{d.repo.Path, reference}):
			found = true
			return newEntry(label{}, oci.Descriptor{MediaType: e.MediaType, Digest: oci.Digest(e.Digest), Size: e.Size}), changed
		}
		return e, kept
	}}
	if err := d.change(ctx, op, c); err != nil || found {
		return err
	}
	x, err := d.readIndex()
	if err != nil {
		return err
	}
	return d.failed(op, d.name(reference), x.unknown())
}
