package access

import "sync"

// Places are a bounded number for each principal, of what it holds open: streams, answers that
// wait. A nil Places has no bound. It is safe for concurrent use.
type Places struct {
	most int

	mu    sync.Mutex
	taken map[string]int
}

// NewPlaces gives each principal that many.
func NewPlaces(most int) *Places { return &Places{most: most, taken: map[string]int{}} }

// Take takes one of p's. ok is false where all are taken; else leave gives it back, and is called once.
func (s *Places) Take(p Principal) (leave func(), ok bool) {
	if s == nil {
		return func() {}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[p.Name] >= s.most {
		return nil, false
	}
	s.taken[p.Name]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[p.Name]--; s.taken[p.Name] == 0 {
			delete(s.taken, p.Name)
		}
	}, true
}
