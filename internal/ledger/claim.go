package ledger

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/drayage/dray/internal/ours"
)

// Claim makes the caller the owner of the upload of a blob of size bytes, until it calls Forget
// or Release. It reads what an earlier owner left. If another owner has the upload, both results
// are nil. An error comes from the disk and has the Kind Full, Denied or Unavailable. The upload
// can then go on, but its progress is not stored.
func (s *Uploads) Claim(key Key, size int64) (*Upload, error) {
	if s == nil {
		return nil, nil
	}
	d, err := s.ready()
	if err != nil {
		return nil, diskFault("open", s.dir, err)
	}
	seal, err := s.sealer(d)
	if err != nil {
		_ = d.Close()
		return nil, diskFault("open", s.dir, err)
	}
	path := filepath.Join(s.uploads(), key.file())
	lock, err := d.Lock(key.file() + lockSuffix)
	if lock == nil {
		_ = d.Close()
		return nil, diskFault("lock", path, err)
	}
	u := &Upload{path: path, dir: d, lock: lock, book: book{seal: seal, name: key.file()}, size: size}
	if err := u.open(); err != nil {
		u.Release()
		return nil, diskFault("read", path, err)
	}
	return u, nil
}

// ready opens the directory, which it creates if it is missing, and sweeps once a day. It checks the directory each
// time, because somebody may remove it at any time. The caller must close it.
func (s *Uploads) ready() (*ours.Dir, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := newHome(filepath.Join(s.uploads(), "any"))
	if err != nil || time.Since(s.swept) <= 24*time.Hour {
		return d, err
	}
	if err := d.Narrow(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	s.swept = time.Now()
	sweep(d, s.swept)
	return d, nil
}

// sweep removes files that have not changed for KeepFor and have no owner. Files that cannot be
// removed stay until the next sweep.
func sweep(d *ours.Dir, now time.Time) {
	names, err := d.List()
	if err != nil {
		return
	}
	for _, name := range names {
		info, err := d.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) <= KeepFor {
			continue
		}
		if data, of := strings.CutSuffix(name, lockSuffix); of {
			name = data
			if data, err := d.Lstat(name); err == nil && now.Sub(data.ModTime()) <= KeepFor {
				continue // a lock file keeps the time at which it was created, so the data file's time counts
			}
		}
		drop(d, name)
	}
}
