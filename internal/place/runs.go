package place

import (
	"slices"
	"sync"

	"github.com/drayage/dray/internal/transfer"
)

// maxRuns is how many divided runs are remembered. Each may hold some 50 MiB.
const maxRuns = 4

// Runs lets the parts of a divided run that this process carries out share what they learn, as if they were one run:
// which repositories hold which blobs, what was read, what was told, and what a gate said. The zero value is ready for
// use, and is safe for concurrent use.
type Runs struct {
	mu    sync.Mutex
	known []*joint // the one that was used last at the end
}

// joint is what the parts of one run share.
type joint struct {
	run       string
	shared    *Sharing
	documents *transfer.Documents
	told      *Told
	verdicts  *Verdicts
}

// Join lets s share what the other sessions of the run know. It does nothing if run is "".
func (r *Runs) Join(run string, s *Session) {
	if run == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.known, func(j *joint) bool { return j.run == run })
	if i >= 0 {
		j := r.known[i]
		r.known = append(slices.Delete(r.known, i, i+1), j)
		s.Shared, s.Documents, s.Told, s.Verdicts = j.shared, j.documents, j.told, j.verdicts
		return
	}
	r.known = append(r.known, &joint{run, s.Shared, s.Documents, s.Told, s.Verdicts})
	if len(r.known) > maxRuns {
		r.known = slices.Delete(r.known, 0, 1)
	}
}
