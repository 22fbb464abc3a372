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

// Pusher puts content into one repository. It is safe for concurrent use and remembers
// which blobs it saw there.
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
	Writing func() bool // whether content is being written now, as opposed to looked at; nil is never
	Pushes  bool        // it is opened to push: what is looked for may be filled
}

// New puts content where h is.
func New(h *ask.Handle, k *Dock, taught *Lessons, read *read.Reader, use Use) *Pusher {
	p := &Pusher{Handle: h, dock: k, taught: taught, read: read, use: use}
	p.known.settle = make(limit.Gate, 1)
	return p
}

// leaves reports whether Missing may leave it to Put to find out what is there.
func (r *Pusher) leaves() bool {
	return r.use.Writing != nil && r.use.Writing() && r.taught.verdict() != silent
}

// Dock is where all puts of a process pass, to whichever registry.
type Dock struct {
	uploads *ledger.Uploads             // nil remembers none
	ecr     *credential.ECRRepositories // makes repositories; nil makes none
	readers *feed.Readers

	mu   sync.Mutex
	puts map[putKey]*flight

	told sync.Once // that uploads does not work
}

// NewDock reads ahead for as many blobs as there are cores.
func NewDock(uploads *ledger.Uploads, ecr *credential.ECRRepositories) *Dock {
	return &Dock{uploads: uploads, ecr: ecr, readers: feed.NewReaders(runtime.GOMAXPROCS(0)), puts: map[putKey]*flight{}}
}

// putKey is one blob on its way to one repository.
type putKey struct {
	repo   ref.Repo
	digest oci.Digest
}

// flight is a Put under way. arrived may be read once done is closed.
type flight struct {
	done    chan struct{}
	arrived bool
}

// claim makes a key the caller's, who calls mine when done, or returns whose it is.
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

func (k *Dock) arrived(key putKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.puts[key].arrived = true
}

// worthAsking is the size in bytes from which a HEAD is cheaper than sending
// for nothing: 64 KiB.
const worthAsking = 64 << 10

// worthKeeping is the size in bytes from which an upload is recorded: 16 MiB.
const worthKeeping = 16 << 20
