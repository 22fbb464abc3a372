package live

import "sync"

// Bell wakes those that watch a job. The zero Bell is ready for use. It is safe for concurrent use.
type Bell struct {
	mu   sync.Mutex
	ears map[string]map[chan struct{}]bool // by job
}

// Ring wakes those that watch the job with this ID. It never waits.
func (b *Bell) Ring(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ear := range b.ears[id] {
		select {
		case ear <- struct{}{}:
		default:
		}
	}
}

// listen returns a channel that receives a value after each Ring, or one value for several. The caller must
// call stop in the end.
func (b *Bell) listen(id string) (rung <-chan struct{}, stop func()) {
	ear := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ears == nil {
		b.ears = map[string]map[chan struct{}]bool{}
	}
	if b.ears[id] == nil {
		b.ears[id] = map[chan struct{}]bool{}
	}
	b.ears[id][ear] = true
	return ear, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if delete(b.ears[id], ear); len(b.ears[id]) == 0 {
			delete(b.ears, id)
		}
	}
}
