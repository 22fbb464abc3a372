package volume

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// WriteDamaged writes the files of a volume into the directory dir again that are damaged or missing there. Each of
// them is either as it was or whole, whatever interrupts WriteDamaged.
func (a *Arranged) WriteDamaged(ctx context.Context, volume int, dir string, content Opener) error {
	l := a.list(volume)
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // each file was synced
	v := &open{list: l, name: dir, root: root}
	head := File{listPath(l.Volume, l.Volumes, raw), int64(len(raw)), oci.Sum(raw)}
	for _, f := range append(l.Files, head) {
		err := v.verifyFile(ctx, f, func(int64) {})
		if err == nil {
			continue
		}
		if fault.Is(err, fault.Canceled) {
			return err
		}
		from := a.opener(ctx, f, content)
		if f == head {
			from = opening(raw)
		}
		if err := replaceIn(ctx, root, f, from); err != nil {
			return err
		}
	}
	return nil
}

// replaceIn writes a file into root, in place of what is there.
func replaceIn(ctx context.Context, root *os.Root, f File, from func() (io.ReadCloser, error)) error {
	const part = ours + "/.part"
	if err := root.MkdirAll(path.Dir(f.Path), 0o755); err != nil {
		return err
	}
	out, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	err = pour(ctx, f, from, func(b []byte) error { _, err := out.Write(b); return err })
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = root.Rename(part, f.Path)
	}
	if err != nil {
		_ = root.Remove(part) // the error stands for it
	}
	return err
}
