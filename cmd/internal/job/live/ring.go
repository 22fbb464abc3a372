package job

import "sync"

const (
	kept      = 1024    // events of a run that can be replayed
	keptBytes = 1 << 20 // and their size
)

// live is what a run said of late: a ring that watchers read at their own pace. A slow one misses
// events and stops nobody.
type live struct {
	mu      sync.Mutex
	seq     int64
	events  []Event
	size    int
	changed chan struct{} // closed, and made anew, with each event
	ended   bool
}

func newLive(first int64) *live { return &live{seq: first, changed: make(chan struct{})} }

func (l *live) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.seq++
	e.Seq = l.seq
	l.events = append(l.events, e)
	l.size += len(e.Data)
	for len(l.events) > kept || l.size > keptBytes && len(l.events) > 1 {
		l.size -= len(l.events[0].Data)
		l.events = l.events[1:]
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// since returns what is kept after seq, a channel that closes when there is more, and whether
// there will be no more.
func (l *live) since(seq int64) (events []Event, more <-chan struct{}, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.events)
	for at > 0 && l.events[at-1].Seq > seq {
		at--
	}
	return append([]Event(nil), l.events[at:]...), l.changed, l.ended
}

func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		close(l.changed)
	}
}
