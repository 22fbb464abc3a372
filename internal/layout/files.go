package layout

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/gofrs/flock"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// lock waits until no other process changes index.json, and then holds the lock. The
// operating system releases the lock when the process ends, even if it is killed.
func (d *Dir) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, &fault.Fault{
		Kind: fault.Unavailable,
		Op:   "lock layout",
		Name: d.whole(),
		Err:  fmt.Errorf("another process has held %s for %s", lockFile, lockWait),
		Hint: "end that process, then try again",
	})
	defer cancel()
	// The root creates the file, because it lets no link lead out of the layout. flock opens the
	// file by name only in order to lock it.
	f, err := d.openRegular(lockFile, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, d.failed("lock layout", d.whole(), err)
	}
	f.Close()
	l := flock.New(filepath.Join(d.root.Name(), lockFile), flock.SetFlag(os.O_RDWR))
	if _, err := l.TryLockContext(ctx, lockPause); err != nil {
		_ = l.Close()
		if ctx.Err() != nil {
			return nil, canceled(ctx, "lock layout", d.whole())
		}
		return nil, d.failed("lock layout", d.whole(), err)
	}
	return func() { _ = l.Close() }, nil
}

// openRegular opens a regular file. It follows links inside the layout. It checks the type before
// it opens the file, because opening another type could block or have side effects. It checks the
// type again afterwards, when it can no longer change.
func (d *Dir) openRegular(name string, flag int) (*os.File, error) {
	info, err := d.root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &irregular{name}
	}
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || flag&os.O_CREATE == 0) {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag|nonblock, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &irregular{name}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openFile opens a file for reading.
func (d *Dir) openFile(name string) (File, error) {
	if d.root == nil {
		return d.over.Open(name)
	}
	f, err := d.openRegular(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) && d.over != nil {
		return d.over.Open(name)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return onDisk{f, info.Size()}, nil
}

// onDisk is a file in the directory of a layout.
type onDisk struct {
	*os.File
	size int64
}

func (f onDisk) Size() int64 { return f.size }

// sizeOver returns the size of a file of over.
func (d *Dir) sizeOver(name string) (int64, error) {
	f, err := d.over.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size(), nil
}

// readJSON reads a file of JSON, without the byte order mark that some tools write before it.
func (d *Dir) readJSON(name string, limit int64) ([]byte, error) {
	raw, err := d.readFile(name, limit)
	return bytes.TrimPrefix(raw, []byte("\ufeff")), err
}

// readFile reads a file of at most limit bytes.
func (d *Dir) readFile(name string, limit int64) ([]byte, error) {
	f, err := d.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = &fault.Fault{Kind: fault.TooLarge, Op: "read file", Name: name, Err: fmt.Errorf("the limit is %d bytes", limit)}
	}
	return raw, err
}

// blobPath returns the path of the file for d. If d is not a known kind of digest, the error is
// Refused.
func blobPath(d oci.Digest) (string, error) {
	if ref.Digest(string(d)) != nil {
		return "", &fault.Fault{
			Kind: fault.Refused,
			Op:   "find blob",
			Name: fmt.Sprintf("%.100q", string(d)),
			Err:  errors.New("not a sha256, sha384 or sha512 digest"),
		}
	}
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded(), nil
}

// replace writes a whole file. Readers see either the old file or the new one.
func (d *Dir) replace(target string, raw []byte) error {
	return d.file("write "+path.Base(target), d.whole(), target, func(f *os.File) error {
		if _, err := f.Write(raw); err != nil {
			return d.failed("write "+path.Base(target), d.whole(), err)
		}
		return nil
	})
}

// file creates target with the content that fill writes. The content goes into a temporary file,
// which is synced to disk before it is renamed, unless the layout is a draft. If anything fails, target
// is unchanged and the temporary file is removed. Temporary files are next to index.json. So they cannot be mistaken
// for blobs, and sweep does not have to list all blobs.
func (d *Dir) file(op, name, target string, fill func(*os.File) error) error {
	if err := d.makeParent(op, name, target); err != nil {
		return err
	}
	temp := tempPrefix + rand.Text() + tempSuffix
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return d.failed(op, name, err)
	}
	err = fill(f)
	if err == nil && d.mode != Draft {
		if err = f.Sync(); err != nil {
			err = d.failed(op, name, err)
		}
	}
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = d.failed(op, name, closeErr)
	}
	if err == nil {
		if err = d.root.Rename(temp, target); err != nil {
			err = d.failed(op, name, err)
		}
	}
	if err != nil {
		d.root.Remove(temp)
		return err
	}
	if err := d.sync(path.Dir(target)); err != nil {
		return d.failed(op, name, err)
	}
	return nil
}

// sync makes the renames in a directory durable, if the layout is no draft.
func (d *Dir) sync(dir string) error {
	if d.mode == Draft {
		return nil
	}
	return syncDir(d.root, dir)
}

// makeParent creates the directory for the blobs of one digest algorithm.
func (d *Dir) makeParent(op, name, target string) error {
	dir := path.Dir(target)
	if dir == "." {
		return nil
	}
	if _, err := d.root.Stat(dir); err == nil {
		return nil
	}
	if err := d.root.MkdirAll(dir, 0o755); err != nil {
		return d.failed(op, name, err)
	}
	if err := cmp.Or(d.sync(path.Dir(dir)), d.sync(".")); err != nil {
		return d.failed(op, name, err)
	}
	return nil
}

func (d *Dir) mayWrite(ctx context.Context, op, name string) error {
	if d.mode == Read {
		return &fault.Fault{Kind: fault.Denied, Op: op, Name: name, Err: errors.New("the layout was opened for reading only")}
	}
	return canceled(ctx, op, name)
}
