package registry

import (
	"context"
	"sync"
)

// turns is a lock for each key. The zero value is ready for use.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the key is unlocked
}

// lock waits until key is free and locks it. It returns an error if ctx ends first.
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

// unlock unlocks key.
func (t *turns) unlock(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[key])
	delete(t.busy, key)
}
