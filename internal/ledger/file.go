package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// patience is how long another process that writes a file is waited for; after that the change is
// lost. What is written so are notes and hints: without them more is asked, and more is sent.
const patience = 2 * time.Second

// load returns what the file at path holds, and when it was written. One that is missing, no
// regular file, or longer than maxFile holds nothing.
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

// revise writes what change makes of the file at path. It is not fsynced: a file that the power
// took is damaged, and a damaged one says nothing.
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
	defer lock.Close()
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
