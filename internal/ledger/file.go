package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// patience is how long to wait for another process that is writing the same file: 2 s. After
// that, the change is lost. The files hold only notes and hints: without them, dray sends more
// requests and more blobs.
const patience = 2 * time.Second

// load returns the content of the file at path, and when it was written. A file that is missing,
// not regular, or longer than maxFile counts as empty.
func load(path string) (raw []byte, written time.Time, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, diskFault("read", path, err)
	}
	raw, err = os.ReadFile(path)
	return raw, info.ModTime(), diskFault("read", path, err)
}

// revise replaces the file at path with the result of change. It does not call fsync: if the
// power fails, the file may be damaged, and a damaged file counts as absent.
func revise(path string, change func(raw []byte, written time.Time) []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return diskFault("open", filepath.Dir(path), err)
	}
	lock, err := take(path + lockSuffix)
	for end := time.Now().Add(patience); lock == nil && err == nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		lock, err = take(path + lockSuffix)
	}
	if lock == nil {
		return diskFault("lock", path, err)
	}
	defer func() { _ = lock.Close() }()
	defer os.Remove(path + lockSuffix)
	raw, written, err := load(path)
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, change(raw, written), 0o600); err != nil {
		return diskFault("write", path, err)
	}
	return diskFault("write", path, os.Rename(temp, path))
}
