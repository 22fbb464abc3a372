package read

import (
	"sync"
	"time"
)

// leftOut is how long a mirror that does not answer is left out. It is longer than most runs, but a
// server runs for ever, and its mirrors come back.
const leftOut = 10 * time.Minute

// standing is whether a mirror answers. While that is unknown, one request finds it out, and no other
// request waits for it. The zero standing is unknown.
type standing struct {
	mu      sync.Mutex
	answers bool
	finding bool      // a request is finding out
	until   time.Time // the mirror is left out until then
	noted   bool      // its trouble was reported
}

// enter reports whether a request may be sent to the mirror, and whether it is the one that finds out.
func (s *standing) enter() (may, finds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.answers:
		return true, false
	case s.finding, time.Now().Before(s.until):
		return false, false
	}
	s.finding = true
	return true, true
}

// leave ends a request that entered, and records what it found out.
func (s *standing) leave(finds, answers bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if finds {
		s.finding = false
	}
	if answers {
		s.answers, s.until = true, time.Time{}
	}
}

// drop leaves the mirror out for a while. It reports whether it was not left out before.
func (s *standing) drop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := !time.Now().Before(s.until)
	s.answers, s.until = false, time.Now().Add(leftOut)
	return news
}

// news reports whether no trouble of the mirror was reported before.
func (s *standing) news() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.noted
	s.noted = true
	return !had
}
