package ledger

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/drayage/dray/internal/ours"
)

// patience is how long to wait for another process that is writing the same file: 2 s. After
// that, the change is lost. The files hold only notes and hints: without them, dray sends more
// requests and more blobs.
const patience = 2 * time.Second

// load returns the content of the file at path, and when it was written. A file that is missing,
// not regular, or longer than maxFile counts as empty.
func load(path string) (raw []byte, written time.Time, err error) {
	d, err := home(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, diskFault("read", path, err)
	}
	defer func() { _ = d.Close() }() // it was only read
	return loadIn(d, path)
}

func loadIn(d *ours.Dir, path string) (raw []byte, written time.Time, err error) {
	info, err := d.Lstat(filepath.Base(path))
	if errors.Is(err, os.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, diskFault("read", path, err)
	}
	f, err := d.Read(filepath.Base(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, diskFault("read", path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err = io.ReadAll(io.LimitReader(f, maxFile))
	return raw, info.ModTime(), diskFault("read", path, err)
}

// revise replaces the file at path with the result of change. It does not call fsync: if the
// power fails, the file may be damaged, and a damaged file counts as absent.
func revise(path string, change func(raw []byte, written time.Time) []byte) error {
	d, err := newHome(path)
	if err != nil {
		return diskFault("open", filepath.Dir(path), err)
	}
	defer func() { _ = d.Close() }() // its files are closed
	name := filepath.Base(path)
	lock, err := d.Lock(name + lockSuffix)
	for end := time.Now().Add(patience); lock == nil && err == nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		lock, err = d.Lock(name + lockSuffix)
	}
	if lock == nil {
		return diskFault("lock", path, err)
	}
	defer func() { _ = lock.Close() }()
	defer func() { _ = d.Remove(name + lockSuffix) }() // without it, the next one locks the same file
	raw, written, err := loadIn(d, path)
	if err != nil {
		return err
	}
	return diskFault("write", path, d.Replace(name, change(raw, written)))
}
