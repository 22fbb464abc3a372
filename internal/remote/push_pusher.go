package remote

import (
	"runtime"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// pusher puts content into one repository. It is safe for concurrent use and remembers
// which blobs it saw there.
type pusher struct {
	*handle
	dock    *dock
	taught  *pushLessons
	read    *reader
	writing func() bool
	pushes  bool // it was opened to push
	known   inventory
}

func newPusher(h *handle, k *dock, taught *pushLessons, read *reader, writing func() bool) *pusher {
	p := &pusher{handle: h, dock: k, taught: taught, read: read, writing: writing}
	p.known.settle = make(gate, 1)
	return p
}

// leaves reports whether Missing may leave it to Put to find out what is there.
func (r *pusher) leaves() bool {
	return r.writing != nil && r.writing() && r.taught.verdict() != silent
}

// dock is where all puts of a process pass, to whichever registry.
type dock struct {
	uploads *ledger.Uploads             // nil remembers none
	ecr     *credential.ECRRepositories // makes repositories; nil makes none
	readers *readers

	mu   sync.Mutex
	puts map[putKey]*flight

	told sync.Once // that uploads does not work
}

// newDock reads ahead for as many blobs as there are cores.
func newDock(uploads *ledger.Uploads, ecr *credential.ECRRepositories) *dock {
	return &dock{uploads: uploads, ecr: ecr, readers: newReaders(runtime.GOMAXPROCS(0)), puts: map[putKey]*flight{}}
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
func (k *dock) claim(key putKey) (others *flight, mine func()) {
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

func (k *dock) arrived(key putKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.puts[key].arrived = true
}

// worthAsking is the size in bytes from which a HEAD is cheaper than sending
// for nothing: 64 KiB.
const worthAsking = 64 << 10

// worthKeeping is the size in bytes from which an upload is recorded: 16 MiB.
const worthKeeping = 16 << 20
