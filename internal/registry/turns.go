package registry

import (
	"context"
	"sync"
)

// turns lets one at a time do something with a key. Its zero value is ready.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when whoever has the key is done
}

// lock waits for its turn, or for ctx.
func (t *turns) lock(ctx context.Context, key string) error {
	for {
		t.mu.Lock()
		if t.busy == nil {
			t.busy = map[string]chan struct{}{}
		}
		others, busy := t.busy[key]
		if !busy {
			t.busy[key] = make(chan struct{})
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// unlock ends the turn of whoever has key.
func (t *turns) unlock(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[key])
	delete(t.busy, key)
}
