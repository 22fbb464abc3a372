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

// KeepFor is how long an upload is remembered after its last change: seven days. The distribution
// registry deletes unfinished uploads after the same time by default.
const KeepFor = 7 * 24 * time.Hour

// Uploads remembers uploads that a process did not finish. It is safe for concurrent use, also by
// several processes that use the same directory. A nil Uploads remembers nothing.
type Uploads struct {
	dir string // the state directory; the uploads are in a directory below it

	mu    sync.Mutex
	swept time.Time
}

// NewUploads returns the Uploads in the directory dir, or nil if dir is "". It does no I/O. The
// first Claim creates the directory.
func NewUploads(dir string) *Uploads {
	if dir == "" {
		return nil
	}
	return &Uploads{dir: dir}
}

// Key identifies an upload of one blob to one repository.
type Key struct {
	Repo   ref.Repo
	Digest oci.Digest
}

// file returns the name of the upload's file. The name reveals nothing about the upload.
func (k Key) file() string {
	sum := sha256.Sum256([]byte(k.Repo.Host + "\x00" + k.Repo.Path + "\x00" + string(k.Digest)))
	return hex.EncodeToString(sum[:])
}

func (s *Uploads) uploads() string { return filepath.Join(s.dir, "uploads") }

const lockSuffix = ".lock"

// take locks the file at path, and creates the file if necessary. If another process or goroutine
// holds the lock, both results are nil. The owner of a lock removes the lock file. So a lock is
// valid only if the locked file is still the file at path.
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
	return nil, fmt.Errorf("the lock file %s is replaced again and again", filepath.Base(path))
}
