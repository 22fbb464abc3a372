package read

import (
	"net/url"
	"sync"
	"time"

	"github.com/drayage/dray/oci"
)

const (
	shortcutFor  = time.Minute // presigned addresses are good for longer than that
	maxShortcuts = 64
)

// shortcuts remember where the registry sent us for a blob, so that the further
// ranges of it cost the registry nothing. What is in it was admitted by
// Host.Redirected, and is dialled as what a redirect leads to: no login goes
// there, and no address inside is reached. The zero value is empty.
type shortcuts struct {
	mu sync.Mutex
	to map[oci.Digest]shortcut
}

type shortcut struct {
	at    *url.URL
	since time.Time
}

// of is where to ask for a blob; nil is the registry.
func (s *shortcuts) of(d oci.Digest) *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.to[d]; ok && time.Since(c.since) < shortcutFor {
		return c.at
	}
	return nil
}

func (s *shortcuts) keep(d oci.Digest, at *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to == nil || len(s.to) >= maxShortcuts {
		s.to = map[oci.Digest]shortcut{}
	}
	s.to[d] = shortcut{at, time.Now()}
}

// forget drops what did not work, unless there is something newer.
func (s *shortcuts) forget(d oci.Digest, at *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to[d].at == at {
		delete(s.to, d)
	}
}
