package live

import (
	"sync"

	"github.com/drayage/dray/cmd/internal/wire"
)

const (
	kept      = 1024    // maximum number of events that are kept
	keptBytes = 1 << 20 // maximum total size of their data
)

// Ring keeps the latest events of a run. Watchers read them at their own pace. A slow watcher misses
// events, and neither the run nor other watchers wait for it. A Ring is safe for concurrent use.
type Ring struct {
	attempt int
	first   int64 // the number before that of the first event

	mu      sync.Mutex
	seq     int64
	events  []wire.Event
	size    int
	changed chan struct{} // closed and replaced with each event
	ended   bool
	stored  int64 // the number of the last line in the database, when the run's outcome had been stored
}

// New returns the ring of an attempt. Its first event has the sequence number first+1.
func New(attempt int, first int64) *Ring {
	return &Ring{attempt: attempt, first: first, seq: first, changed: make(chan struct{})}
}

// Add gives e the next sequence number and keeps it. After End it does nothing.
func (r *Ring) Add(e wire.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.seq++
	e.Seq = r.seq
	r.events = append(r.events, e)
	r.size += len(e.Data)
	for len(r.events) > kept || r.size > keptBytes && len(r.events) > 1 {
		r.size -= len(r.events[0].Data)
		r.events = r.events[1:]
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// since returns the events that are kept and follow seq, a channel that is closed when there are more,
// and whether the run has ended.
func (r *Ring) since(seq int64) (events []wire.Event, more <-chan struct{}, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := len(r.events)
	for at > 0 && r.events[at-1].Seq > seq {
		at--
	}
	return append([]wire.Event(nil), r.events[at:]...), r.changed, r.ended
}

// End marks the run as ended: no more events follow.
func (r *Ring) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		close(r.changed)
	}
}

// Stored notes that the outcome of the run is stored, and the number of the last line in the database.
func (r *Ring) Stored(line int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored = line
}

// state reports whether the run's outcome is stored and all of its events precede seq or have been read. The
// returned number is that from which a watcher continues then.
func (r *Ring) state(seq int64, bits int) (gone bool, from int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stored == 0 {
		return false, seq
	}
	line := r.stored << bits
	return seq >= r.seq || seq >= line, max(seq, line)
}

func (r *Ring) latest() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}
