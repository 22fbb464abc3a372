package survey

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Asking is how many names the surveys of one transfer ask for at once, at each side.
const Asking = 64

// Scope is what the surveys of all landings of one transfer share.
type Scope struct {
	Base *place.Base

	Selection   plan.Selection
	InUse       plan.InUse
	Map         plan.TagMap
	Overwrite   plan.Overwrite
	Backup      plan.Backup
	CopyLocks   bool
	Incremental bool               // only what changed is listed, where that is known
	Explained   bool               // somebody asks why each tag takes part or not
	Rank        func(ref.Repo) int // of sources that bring different content to one name: the lowest wins

	Asks map[fault.Side]chan struct{} // places for names that are asked for at once
}

// Surveyed is the plan of one target repository, and what was learned while it was made.
type Surveyed struct {
	plan.Repository

	Explains []plan.Explain
	Notes    []string
	Session  *place.Session
	Mark     *Mark
}

// ask waits for a place among the names that are asked for at a side.
func (s *Scope) ask(ctx context.Context, side fault.Side) (done func(), err error) {
	select {
	case s.Asks[side] <- struct{}{}:
		return func() { <-s.Asks[side] }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
