package ledger

import (
	"crypto/cipher"
	"os"
	"path/filepath"
	"time"
)

// Claim makes an upload of a blob of size bytes the caller's, until its Forget
// or Release, and reads what an earlier owner left. Where another owner has it,
// both results are nil. An error is one of the disk: Full, Denied or
// Unavailable; nothing is remembered then, and nothing else is wrong.
func (s *Uploads) Claim(key Key, size int64) (*Upload, error) {
	if s == nil {
		return nil, nil
	}
	seal, err := s.ready()
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

// ready makes what is missing and sweeps once a day. Nothing is remembered of the
// directory, which may be removed at any time.
func (s *Uploads) ready() (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.uploads(), 0o700); err != nil {
		return nil, err
	}
	seal, err := s.sealer()
	if err == nil && time.Since(s.swept) > 24*time.Hour {
		if err = os.Chmod(s.uploads(), 0o700); err == nil { //nolint:gosec // a directory
			s.swept = time.Now()
			s.sweep(s.swept)
		}
	}
	return seal, err
}

// sweep removes what was not touched for KeepFor and is nobody's now. What can
// not be removed stays for the next time.
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
				continue // locks keep the time at which they were made
			}
		}
		if l, _ := take(path + lockSuffix); l != nil {
			_ = os.Remove(path)
			_ = os.Remove(path + lockSuffix)
			_ = l.Close()
		}
	}
}
