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
	job     string
	attempt int

	mu      sync.Mutex
	seq     int64
	events  []wire.Event
	size    int
	changed chan struct{} // closed and replaced with each event
	ended   bool
}

// New returns the ring of an attempt at a job. Its first event has the sequence number first+1.
func New(job string, attempt int, first int64) *Ring {
	return &Ring{job: job, attempt: attempt, seq: first, changed: make(chan struct{})}
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
