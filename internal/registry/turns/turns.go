// Package turns has a lock for each of many keys.
package turns

import (
	"context"
	"sync"
)

// Turns is a lock for each key, which one may hold alone, or several may share. The zero value is ready for use.
type Turns struct {
	mu   sync.Mutex
	busy map[string]*turn
}

// turn is a key that is locked.
type turn struct {
	shared int           // how many share the lock; 0 means that one has it alone
	free   chan struct{} // closed when the key is unlocked
}

// Lock waits until key is free and locks it. It returns an error if ctx ends first.
func (t *Turns) Lock(ctx context.Context, key string) error { return t.take(ctx, key, 0) }

// Share waits until nobody has key alone, and locks it together with others. It returns an error if ctx ends first.
func (t *Turns) Share(ctx context.Context, key string) error { return t.take(ctx, key, 1) }

func (t *Turns) take(ctx context.Context, key string, shared int) error {
	for {
		t.mu.Lock()
		now := t.busy[key]
		if now == nil || now.shared > 0 && shared > 0 {
			if now == nil {
				now = &turn{free: make(chan struct{})}
				if t.busy == nil {
					t.busy = map[string]*turn{}
				}
				t.busy[key] = now
			}
			now.shared += shared
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-now.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Unlock gives up what Lock or Share has taken.
func (t *Turns) Unlock(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.busy[key]
	if now.shared--; now.shared > 0 {
		return
	}
	close(now.free)
	delete(t.busy, key)
}
