package dray

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// asking is how many names the surveys of one transfer ask for at once, at each side.
const asking = 64

// scope is what the surveys of all landings of one transfer share.
type scope struct {
	base *base

	Selection   plan.Selection
	InUse       plan.InUse
	Map         plan.TagMap
	Overwrite   plan.Overwrite
	Backup      plan.Backup
	CopyLocks   bool
	Incremental bool               // only what changed is listed, where that is known
	Explained   bool               // somebody asks why each tag takes part or not
	Rank        func(ref.Repo) int // of sources that bring different content to one name: the lowest wins

	asks map[fault.Side]chan struct{} // places for names that are asked for at once
}

// surveyed is the plan of one target repository, and what was learned while it was made.
type surveyed struct {
	RepositoryPlan

	explains []plan.Explain
	notes    []string
	session  *session
	mark     *mark
}

// ask waits for a place among the names that are asked for at a side.
func (s *scope) ask(ctx context.Context, side fault.Side) (done func(), err error) {
	select {
	case s.asks[side] <- struct{}{}:
		return func() { <-s.asks[side] }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
