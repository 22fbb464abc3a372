package layout

import (
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

// lock makes the caller the only one, in all processes, to change index.json.
// The lock ends with the process that holds it, however that ends.
func (d *Dir) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, &fault.Fault{Kind: fault.Unavailable, Op: "lock layout", Name: d.repo.String(), Err: fmt.Errorf("another process holds %s for %s", lockFile, lockWait), Hint: "end that process, then try again"})
	defer cancel()
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, canceled(ctx, "lock layout", d.repo.String())
	}
	defer func() {
		if err != nil {
			<-d.turn
		}
	}()
	// The file is made through the root, which lets no link lead elsewhere; flock opens it by name, only to lock it.
	f, err := d.openRegular(lockFile, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, d.failed("lock layout", d.repo.String(), err)
	}
	f.Close()
	l := flock.New(filepath.Join(d.root.Name(), lockFile), flock.SetFlag(os.O_RDWR))
	if _, err := l.TryLockContext(ctx, lockPause); err != nil {
		l.Close()
		if ctx.Err() != nil {
			return nil, canceled(ctx, "lock layout", d.repo.String())
		}
		return nil, d.failed("lock layout", d.repo.String(), err)
	}
	return func() { l.Close(); <-d.turn }, nil
}

// openRegular opens a file that is, links followed inside the layout, a regular
// one. It is asked before the opening, which could hang or have effects, and
// after it, when it can not change any more.
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

// readFile reads a file of at most limit bytes.
func (d *Dir) readFile(name string, limit int64) ([]byte, error) {
	f, err := d.openRegular(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = &fault.Fault{Kind: fault.TooLarge, Op: "read file", Name: name, Err: fmt.Errorf("the limit is %d bytes", limit)}
	}
	return raw, err
}

// blobPath is where d's bytes are. The error is Refused when d is no digest that we know.
func blobPath(d oci.Digest) (string, error) {
	if ref.Digest(string(d)) != nil {
		return "", &fault.Fault{Kind: fault.Refused, Op: "find blob", Name: fmt.Sprintf("%.100q", string(d)), Err: errors.New("not a digest of sha256, sha384 or sha512")}
	}
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded(), nil
}

// replace writes a whole file in one step that others can see.
func (d *Dir) replace(target string, raw []byte) error {
	return d.file("write "+path.Base(target), d.repo.String(), target, func(f *os.File) error {
		if _, err := f.Write(raw); err != nil {
			return d.failed("write "+path.Base(target), d.repo.String(), err)
		}
		return nil
	})
}

// file makes target from what fill writes: in a temporary file, brought to the
// disk before it gets the name. Whatever goes wrong, target is what it was and
// the temporary file is gone. Temporary files are kept beside index.json, so
// that nobody takes one for a blob and sweeping need not list all blobs.
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
	if err == nil {
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
	if err := syncDir(d.root, path.Dir(target)); err != nil {
		return d.failed(op, name, err)
	}
	return nil
}

// makeParent makes the directory of blobs of one algorithm.
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
	if err := errors.Join(syncDir(d.root, path.Dir(dir)), syncDir(d.root, ".")); err != nil {
		return d.failed(op, name, err)
	}
	return nil
}

func (d *Dir) mayWrite(ctx context.Context, op, name string) error {
	if d.mode != Write {
		return &fault.Fault{Kind: fault.Denied, Op: op, Name: name, Err: errors.New("the layout was opened to be read")}
	}
	return canceled(ctx, op, name)
}
