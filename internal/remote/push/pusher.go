package push

import (
	"runtime"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/feed"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Pusher puts content into one repository. It is safe for concurrent use and remembers which blobs
// it has seen there.
type Pusher struct {
	*ask.Handle
	dock   *Dock
	taught *Lessons
	read   *read.Reader
	use    Use
	known  inventory
}

// Use says what a repository is opened for.
type Use struct {
	Writing func() bool // reports whether content is being written now, not only surveyed; nil means never
	// Pushes is true if the repository was opened to push. Then a repository that is found empty is
	// recorded as being filled.
	Pushes bool
}

// New returns a Pusher for the repository of h.
func New(h *ask.Handle, k *Dock, taught *Lessons, read *read.Reader, use Use) *Pusher {
	p := &Pusher{Handle: h, dock: k, taught: taught, read: read, use: use}
	p.known.settle, p.known.mounted.turn = make(limit.Gate, 1), make(limit.Gate, 1)
	return p
}

// leaves reports whether Missing may make no request and leave it to Put to find out which blobs
// exist.
func (r *Pusher) leaves() bool {
	return r.use.Writing != nil && r.use.Writing() && r.taught.verdict() != silent
}

// Dock coordinates all puts of a process, to all registries. It is safe for concurrent use.
type Dock struct {
	uploads *ledger.Uploads             // nil records none
	ecr     *credential.ECRRepositories // creates repositories; nil creates none
	readers *feed.Readers

	mu   sync.Mutex
	puts map[putKey]*flight // the puts in progress

	told sync.Once // reports once that uploads does not work
}

// NewDock returns a Dock. It reads ahead for as many blobs as there are cores.
func NewDock(uploads *ledger.Uploads, ecr *credential.ECRRepositories) *Dock {
	return &Dock{uploads: uploads, ecr: ecr, readers: feed.NewReaders(runtime.GOMAXPROCS(0)), puts: map[putKey]*flight{}}
}

// putKey names one blob in one repository.
type putKey struct {
	repo   ref.Repo
	digest oci.Digest
}

// flight is a Put in progress. arrived may be read after done was closed.
type flight struct {
	done    chan struct{}
	arrived bool
}

// claim registers key as in progress for the caller, which must call mine when its Put has ended.
// If another goroutine is already putting key, claim returns that flight instead, and mine is nil.
func (k *Dock) claim(key putKey) (others *flight, mine func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, busy := k.puts[key]; busy {
		return f, nil
	}
	f := &flight{done: make(chan struct{})}
	k.puts[key] = f
	return nil, func() {
		k.mu.Lock()
		delete(k.puts, key)
		k.mu.Unlock()
		close(f.done)
	}
}

// arrived records that the blob of a claimed key is in its repository.
func (k *Dock) arrived(key putKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.puts[key].arrived = true
}

// worthAsking is the size in bytes from which a HEAD is cheaper than an upload that may be
// unnecessary: 64 KiB.
const worthAsking = 64 << 10

// worthKeeping is the size in bytes from which an upload is recorded: 16 MiB.
const worthKeeping = 16 << 20
