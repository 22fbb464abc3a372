// Package ledger keeps small facts between runs, in files under one directory
// that only their owner may read. What it holds is never needed for a right
// outcome, only for a cheap one: a file that is missing, damaged, of a newer
// version or under another key counts as absent.
package ledger

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// KeepFor is how long after its last change an upload is remembered: seven
// days, after which distribution throws uploads under way away by default.
const KeepFor = 7 * 24 * time.Hour

// Uploads remembers uploads that a process left unfinished. It is safe for
// concurrent use, by any number of processes on one directory. The nil Uploads
// remembers nothing.
type Uploads struct {
	dir string // the state directory; uploads are in a directory below

	mu    sync.Mutex
	swept time.Time
}

// NewUploads returns the Uploads kept under dir; nil for "". It does no I/O:
// the directory is made by the first Claim.
func NewUploads(dir string) *Uploads {
	if dir == "" {
		return nil
	}
	return &Uploads{dir: dir}
}

// Key names an upload: one blob on its way to one repository.
type Key struct {
	Repo   ref.Repo
	Digest oci.Digest
}

// file is what the upload's file is called. It tells nothing of what is in it.
func (k Key) file() string {
	sum := sha256.Sum256([]byte(k.Repo.Host + "\x00" + k.Repo.Path + "\x00" + string(k.Digest)))
	return hex.EncodeToString(sum[:])
}

func (s *Uploads) uploads() string { return filepath.Join(s.dir, "uploads") }

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

const lockSuffix = ".lock"

// take locks the file at path, which it makes. Both results are nil where
// somebody else holds it. The owner of a lock removes its file, so a lock counts
// only while the file that was locked is the one that is there.
func take(path string) (*flock.Flock, error) {
	for range 100 {
		l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
		ok, err := l.TryLock()
		if err != nil || !ok {
			_ = l.Close()
			return nil, err
		}
		held, err := l.Stat()
		if err == nil {
			var there os.FileInfo
			if there, err = os.Lstat(path); err == nil && os.SameFile(held, there) {
				return l, nil
			}
		}
		_ = l.Close()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the lock %s changes all the time", filepath.Base(path))
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
