package place

import (
	"sync"

	"github.com/drayage/dray/event"
)

// Told remembers what one run noted about registries, so that it is told once and not for each tag.
// The zero Told remembers nothing.
type Told struct {
	mu    sync.Mutex
	notes map[event.Event]bool
}

// news reports whether the run has not told e before.
func (t *Told) news(e event.Event) bool {
	note := event.Event{Kind: e.Kind, Host: e.Host, Name: e.Name, Digest: e.Digest, Text: e.Text}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.notes == nil {
		t.notes = map[event.Event]bool{}
	}
	had := t.notes[note]
	t.notes[note] = true
	return !had
}
