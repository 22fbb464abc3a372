package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Verify reads each byte of the open volumes, and returns what is damaged. tell is called with the number of
// bytes that were read. The error is Canceled, or says that a file could not be read.
func (s *Set) Verify(ctx context.Context, tell func(int64)) ([]Damage, error) {
	all := append([]Damage{}, s.broken...)
	for _, v := range s.volumes {
		found, err := v.verify(ctx, tell)
		for _, d := range found {
			d.File, d.Volume = v.name, v.list.Volume
			d.Names = s.needing(d.Digest)
			all = append(all, d)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Size returns how many bytes Verify reads.
func (s *Set) Size() (total int64) {
	for _, v := range s.volumes {
		for _, f := range v.list.Files {
			total += f.Size
		}
	}
	return total
}

// verify verifies one volume.
func (v *open) verify(ctx context.Context, tell func(int64)) ([]Damage, error) {
	var all []Damage
	for _, f := range append([]File{v.head}, v.list.Files...) {
		if ctx.Err() != nil {
			return all, &fault.Fault{Kind: fault.Canceled, Op: "verify bundle", Name: v.name, Err: context.Cause(ctx)}
		}
		err := v.verifyFile(ctx, f, tell)
		switch {
		case err == nil:
		case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Denied), fault.Is(err, fault.Canceled):
			return all, err
		default:
			d := Damage{Path: f.Path, Err: causeOf(err)}
			if f.Path == blobPath(f.Digest) {
				d.Digest = f.Digest
			}
			all = append(all, d)
		}
	}
	if v.root != nil {
		return all, nil
	}
	end := make([]byte, trailer)
	n, err := v.file.ReadAt(end, v.end-trailer)
	info, statErr := v.file.Stat()
	switch {
	case statErr != nil:
		return all, unreadable(v.name, statErr)
	case info.Size() != v.end:
		err := fmt.Errorf("the file has %d bytes, but it was written with %d", info.Size(), v.end)
		all = append(all, Damage{Err: err})
	case err != nil && !errors.Is(err, io.EOF):
		return all, unreadable(v.name, err)
	case n < trailer || !isZero(end):
		all = append(all, Damage{Err: errors.New("the end of the tar is not empty")})
	}
	return all, nil
}

// verifyFile verifies the bytes of one file and, in a tar, the bytes around it.
func (v *open) verifyFile(ctx context.Context, f File, tell func(int64)) error {
	if v.root == nil {
		if err := v.verifyAround(f); err != nil {
			return err
		}
	}
	from, err := v.read(f, 0, -1)
	if err != nil {
		return err
	}
	defer from.Close()
	check, err := oci.NewVerifier(f.descriptor())
	if err != nil {
		return err
	}
	buf := f.buffer()
	for {
		if ctx.Err() != nil {
			return &fault.Fault{Kind: fault.Canceled, Op: "verify bundle", Name: v.name, Err: context.Cause(ctx)}
		}
		n, err := from.Read(buf)
		tell(int64(n))
		if _, err := check.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unreadable(v.name, err)
		}
	}
	if check.At() < f.Size {
		return fmt.Errorf("it is cut off after %d of %d bytes", check.At(), f.Size)
	}
	return check.Verify()
}

// verifyAround compares the header and the padding of a file in a tar with what dray writes.
func (v *open) verifyAround(f File) error {
	head, err := headerOf(f.Path, f.Size)
	if err != nil {
		return err
	}
	got := make([]byte, len(head))
	if _, err := v.file.ReadAt(got, v.at[f.Path]-int64(len(head))); err != nil {
		return cutOr(v.name, err)
	}
	if !bytes.Equal(got, head) {
		return errors.New("its header in the tar was changed")
	}
	pad := make([]byte, padding(f.Size))
	if _, err := v.file.ReadAt(pad, v.at[f.Path]+f.Size); err != nil && len(pad) > 0 {
		return cutOr(v.name, err)
	}
	if !isZero(pad) {
		return errors.New("the empty bytes after it were changed")
	}
	return nil
}

func cutOr(name string, err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the file ends before it")
	}
	return unreadable(name, err)
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// causeOf returns the cause of a fault, since the line of a Damage names the rest.
func causeOf(err error) error {
	var f *fault.Fault
	if errors.As(err, &f) && f.Err != nil {
		return f.Err
	}
	return err
}
