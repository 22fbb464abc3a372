package read

import (
	"context"
	"sync"
	"time"
)

const (
	// leftOut is how long a mirror that does not answer is left out. It is longer than most runs, but a
	// server runs for ever, and its mirrors come back.
	leftOut = 10 * time.Minute
	// findWait is how long other requests wait while one finds out whether a mirror answers. A mirror
	// that is near answers within it.
	findWait = time.Second
)

// standing is whether a mirror answers. While that is unknown, one request finds it out. The zero
// standing is unknown.
type standing struct {
	mu      sync.Mutex
	answers bool
	finding chan struct{} // closed when the request that finds out ends; nil if there is none
	until   time.Time     // the mirror is left out until then
	noted   bool          // its trouble was reported
}

// enter reports whether a request may be sent to the mirror, and whether it is the one that finds out.
func (s *standing) enter(ctx context.Context) (may, finds bool) {
	s.await(ctx, findWait)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.answers && time.Now().Before(s.until) {
		return false, false
	}
	return s.admit()
}

// insist is enter for a request that no other place can answer: it waits for the one that finds out,
// and does not heed that the mirror is left out.
func (s *standing) insist(ctx context.Context) (may, finds bool) {
	s.await(ctx, leftOut)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admit()
}

func (s *standing) admit() (may, finds bool) {
	switch {
	case s.answers:
		return true, false
	case s.finding != nil:
		return false, false
	}
	s.finding = make(chan struct{})
	return true, true
}

// await waits at most d for the request that finds out.
func (s *standing) await(ctx context.Context, d time.Duration) {
	s.mu.Lock()
	finding := s.finding
	s.mu.Unlock()
	if finding == nil {
		return
	}
	within, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-finding:
	case <-within.Done():
	}
}

// leave ends a request that entered, and records what it found out.
func (s *standing) leave(finds, answers bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if finds {
		close(s.finding)
		s.finding = nil
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
