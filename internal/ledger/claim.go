package ledger

import (
	"os"
	"path/filepath"
	"time"
)

// Claim makes the caller the owner of the upload of a blob of size bytes, until it calls Forget
// or Release. It reads what an earlier owner left. If another owner has the upload, both results
// are nil. An error comes from the disk and has the Kind Full, Denied or Unavailable. The upload
// can then go on, but its progress is not stored.
func (s *Uploads) Claim(key Key, size int64) (*Upload, error) {
	if s == nil {
		return nil, nil
	}
	if err := s.ready(); err != nil {
		return nil, diskFault("open", s.dir, err)
	}
	seal, err := s.sealer()
	if err != nil {
		return nil, diskFault("open", s.dir, err)
	}
	path := filepath.Join(s.uploads(), key.file())
	lock, err := take(path + lockSuffix)
	if lock == nil {
		return nil, diskFault("lock", path, err)
	}
	u := &Upload{path: path, lock: lock, book: book{seal: seal, name: key.file()}, size: size}
	if err := u.open(); err != nil {
		u.Release()
		return nil, diskFault("read", path, err)
	}
	return u, nil
}

// ready creates the directory if it is missing, and sweeps once a day. It checks the directory each
// time, because somebody may remove it at any time.
func (s *Uploads) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.uploads(), 0o700); err != nil {
		return err
	}
	if time.Since(s.swept) <= 24*time.Hour {
		return nil
	}
	if err := os.Chmod(s.uploads(), 0o700); err != nil { //nolint:gosec // a directory
		return err
	}
	s.swept = time.Now()
	s.sweep(s.swept)
	return nil
}

// sweep removes files that have not changed for KeepFor and have no owner. Files that cannot be
// removed stay until the next sweep.
func (s *Uploads) sweep(now time.Time) {
	entries, err := os.ReadDir(s.uploads())
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) <= KeepFor {
			continue
		}
		path := filepath.Join(s.uploads(), e.Name())
		if filepath.Ext(path) == lockSuffix {
			path = path[:len(path)-len(lockSuffix)]
			if data, err := os.Lstat(path); err == nil && now.Sub(data.ModTime()) <= KeepFor {
				continue // a lock file keeps the time at which it was created, so the data file's time counts
			}
		}
		if l, _ := take(path + lockSuffix); l != nil {
			_ = os.Remove(path)
			_ = os.Remove(path + lockSuffix)
			_ = l.Close()
		}
	}
}
