package place

import (
	"slices"
	"sync"
)

// maxIdleRuns is how many divided runs are remembered of which no part is under way.
const maxIdleRuns = 4

// Runs lets the parts of a divided run that this process carries out share what they learn, as if they were one run:
// which repositories hold which blobs, what was read, what was told, and what a gate said. The zero value is ready for
// use, and is safe for concurrent use.
type Runs struct {
	mu    sync.Mutex
	known map[string]*joint
	idle  []string // runs without a part that is under way, the one that was used last at the end
}

// joint is what the parts of one run share.
type joint struct {
	first *Session // of the part that began first
	users int
}

// Join lets s share what the other sessions of the run know. Call leave when the part has ended.
func (r *Runs) Join(run string, s *Session) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]*joint{}
	}
	j := r.known[run]
	if j == nil {
		j = &joint{first: &Session{Shared: s.Shared, Documents: s.Documents, Told: s.Told, Verdicts: s.Verdicts}}
		r.known[run] = j
	}
	j.users++
	r.idle = slices.DeleteFunc(r.idle, func(other string) bool { return other == run })
	s.Shared, s.Documents, s.Told, s.Verdicts = j.first.Shared, j.first.Documents, j.first.Told, j.first.Verdicts
	return func() { r.leave(run, j) }
}

func (r *Runs) leave(run string, j *joint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.users--; j.users > 0 {
		return
	}
	r.idle = append(r.idle, run)
	if len(r.idle) > maxIdleRuns {
		delete(r.known, r.idle[0])
		r.idle = r.idle[1:]
	}
}
