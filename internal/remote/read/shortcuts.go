package read

import (
	"net/url"
	"sync"
	"time"

	"github.com/drayage/dray/oci"
)

const (
	shortcutFor  = time.Minute // presigned URLs are valid for longer than that
	maxShortcuts = 64
)

// shortcuts remembers the URLs that the registry redirected to for blobs, so that further ranges of
// a blob need no request to the registry. Each URL was accepted by Host.Redirected and is dialed
// like the target of a redirect: no login is sent there, and internal addresses are not reached.
// The zero value is empty.
type shortcuts struct {
	mu sync.Mutex
	to map[oci.Digest]shortcut
}

type shortcut struct {
	at    *url.URL
	since time.Time
}

// of returns the URL at which to request a blob. Nil means the registry.
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

// forget removes a URL that did not work, unless a newer one has replaced it.
func (s *shortcuts) forget(d oci.Digest, at *url.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to[d].at == at {
		delete(s.to, d)
	}
}
