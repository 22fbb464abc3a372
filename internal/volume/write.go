package volume

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Opener opens the bytes of a document or a blob.
type Opener func(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error)

// WriteTar writes a volume as a tar. tell is called with the number of bytes that were written. If bytes do
// not match their digest, the error is Corrupt.
func (a *Arranged) WriteTar(ctx context.Context, volume int, w io.Writer, open Opener, tell func(int64)) error {
	l := a.list(volume)
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	out := &tarWriter{to: w, tell: tell}
	name := listPath(l.Volume, l.Volumes, raw)
	if err := out.file(ctx, File{name, int64(len(raw)), oci.Sum(raw)}, opening(raw)); err != nil {
		return err
	}
	for _, f := range l.Files {
		if err := out.file(ctx, f, a.opener(ctx, f, open)); err != nil {
			return err
		}
	}
	return out.write(make([]byte, trailer))
}

// opener opens the bytes of a file.
func (a *Arranged) opener(ctx context.Context, f File, open Opener) func() (io.ReadCloser, error) {
	if raw := a.small[f.Path]; raw != nil {
		return opening(raw)
	}
	return func() (io.ReadCloser, error) { return open(ctx, f.descriptor()) }
}

// Size returns how many bytes a volume has as a tar.
func (a *Arranged) Size(volume int) (int64, error) {
	l := a.list(volume)
	raw, err := json.Marshal(l)
	if err != nil {
		return 0, err
	}
	total, err := span(listPath(l.Volume, l.Volumes, raw), int64(len(raw)))
	for _, f := range l.Files {
		size, err := span(f.Path, f.Size)
		if err != nil {
			return 0, err
		}
		total += size
	}
	return total + trailer, err
}

func opening(raw []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
}

// tarWriter writes the files of one tar.
type tarWriter struct {
	to   io.Writer
	tell func(int64)
}

func (t *tarWriter) file(ctx context.Context, f File, open func() (io.ReadCloser, error)) error {
	head, err := headerOf(f.Path, f.Size)
	if err != nil {
		return err
	}
	if err := t.write(head); err != nil {
		return err
	}
	if err := pour(ctx, f, open, t.write); err != nil {
		return err
	}
	return t.write(make([]byte, padding(f.Size)))
}

// pour calls write with the bytes of a file, and verifies them.
func pour(ctx context.Context, f File, open func() (io.ReadCloser, error), write func([]byte) error) error {
	from, err := open()
	if err != nil {
		return err
	}
	defer from.Close()
	v, err := oci.NewVerifier(f.descriptor())
	if err != nil {
		return err
	}
	buf := f.buffer()
	for {
		if ctx.Err() != nil {
			return &fault.Fault{Kind: fault.Canceled, Op: "write bundle", Err: context.Cause(ctx)}
		}
		n, readErr := from.Read(buf)
		if _, err := v.Write(buf[:n]); err != nil {
			return err
		}
		if err := write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return readErr
		}
	}
	return v.Verify()
}

func (t *tarWriter) write(b []byte) error {
	n, err := t.to.Write(b)
	t.tell(int64(n))
	return err
}

// WriteDir writes the files that are not blobs into the directory dir, so that it becomes a bundle of one
// volume. All documents and blobs are there already. The list comes last, and WriteDir returns its path.
func (a *Arranged) WriteDir(dir string) (list string, err error) {
	raw, err := json.Marshal(a.list(1))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, ours), 0o755); err != nil { //nolint:gosec // other users read bundles, too
		return "", err
	}
	for name, text := range a.small {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(name)), text); err != nil {
			return "", err
		}
	}
	list = listPath(1, 1, raw)
	return list, writeFile(filepath.Join(dir, filepath.FromSlash(list)), raw)
}

// writeFile writes a whole file and syncs it to disk.
func writeFile(file string, raw []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // other users read bundles, too
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}
