package ledger

import (
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
