package access

import "sync"

// Places limits what each principal may hold open at the same time, such as event streams or held
// answers. A nil Places has no limit. It is safe for concurrent use.
type Places struct {
	most int

	mu    sync.Mutex
	taken map[string]int
}

// NewPlaces returns Places that give each principal most places.
func NewPlaces(most int) *Places { return &Places{most: most, taken: map[string]int{}} }

// Take takes one of p's places. ok is false if all of them are taken. Otherwise the caller must call
// leave once, which gives the place back.
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
