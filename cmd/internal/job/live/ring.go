package live

import (
	"sync"

	"github.com/drayage/dray/cmd/internal/wire"
)

const (
	kept      = 1024    // events of a run that can be replayed
	keptBytes = 1 << 20 // and their size
)

// Ring is what a run said of late: watchers read it at their own pace. A slow one misses events and
// stops nobody.
type Ring struct {
	job     string
	attempt int

	mu      sync.Mutex
	seq     int64
	events  []wire.Event
	size    int
	changed chan struct{} // closed, and made anew, with each event
	ended   bool
}

// New is the ring of an attempt at a job. Its events are numbered from behind first.
func New(job string, attempt int, first int64) *Ring {
	return &Ring{job: job, attempt: attempt, seq: first, changed: make(chan struct{})}
}

// Add numbers e and keeps it, unless the run has ended.
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

// since returns what is kept after seq, a channel that closes when there is more, and whether
// there will be no more.
func (r *Ring) since(seq int64) (events []wire.Event, more <-chan struct{}, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := len(r.events)
	for at > 0 && r.events[at-1].Seq > seq {
		at--
	}
	return append([]wire.Event(nil), r.events[at:]...), r.changed, r.ended
}

// End says that there will be no more.
func (r *Ring) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		close(r.changed)
	}
}
