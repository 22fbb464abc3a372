package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"sync"
	"time"

	"github.com/drayage/dray/internal/ours"
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

func (s *Uploads) uploads() string { return filepath.Join(s.dir, uploadsDir) }

const (
	uploadsDir = "uploads"
	lockSuffix = ".lock"
)

// home opens the directory of the file at path. Both it and the one above it, the state directory, must be the user's
// own.
func home(path string) (*ours.Dir, error) {
	dir := filepath.Dir(path)
	state, err := ours.Open(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	defer func() { _ = state.Close() }() // it was only looked at
	return state.Sub(filepath.Base(dir))
}

// newHome is home, and creates what is missing.
func newHome(path string) (*ours.Dir, error) {
	dir := filepath.Dir(path)
	state, err := ours.Create(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	defer func() { _ = state.Close() }() // it was only looked at
	return state.CreateSub(filepath.Base(dir))
}

// drop removes the file name and its lock file, unless the file has an owner.
func drop(d *ours.Dir, name string) {
	if l, _ := d.Lock(name + lockSuffix); l != nil {
		_ = d.Remove(name)
		_ = d.Remove(name + lockSuffix)
		_ = l.Close()
	}
}
