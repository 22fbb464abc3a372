package place

import (
	"slices"
	"sync"
)

// maxRuns is how many divided runs are remembered. Each may hold some 50 MiB.
const maxRuns = 4

// Runs remembers what the parts of a divided run share that this process carries out. The zero value is ready for use,
// and is safe for concurrent use.
type Runs struct {
	mu    sync.Mutex
	known []joint // the one that was used last at the end
}

// joint is what the parts of one run share.
type joint struct {
	run    string
	shared any
}

// Of returns what the parts of run share: that of the first one.
func (r *Runs) Of(run string, mine any) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.known, func(j joint) bool { return j.run == run }); i >= 0 {
		mine = r.known[i].shared
		r.known = slices.Delete(r.known, i, i+1)
	}
	if len(r.known) == maxRuns {
		r.known = slices.Delete(r.known, 0, 1)
	}
	r.known = append(r.known, joint{run, mine})
	return mine
}
