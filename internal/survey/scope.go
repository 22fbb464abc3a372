package survey

import (
	"cmp"
	"context"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Rules are what a request says beside names.
type Rules struct {
	Verb      string // "import", "copy", "tag", "batch", "transfer"
	Overwrite plan.Overwrite
	Hold      plan.Hold // with several names; "" is plan.Each
	Backup    plan.Backup
	Map       plan.TagMap
}

func (r Rules) draft(s *place.Session) *Draft {
	return &Draft{Plan: plan.Plan{Verb: r.Verb, Overwrite: r.Overwrite, Backup: r.Backup, Hold: cmp.Or(r.Hold, plan.Each)}, session: s}
}

// Draft is a plan in the making, and the session in which it is made.
type Draft struct {
	plan.Plan
	session *place.Session
}

// asking is how many names the surveys of one transfer ask for at once, at each side.
const asking = 64

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

	asks map[fault.Side]chan struct{} // places for names that are asked for at once
}

// NewScope begins what the surveys of one transfer share.
func NewScope(s Scope) *Scope {
	s.asks = map[fault.Side]chan struct{}{fault.Source: make(chan struct{}, asking), fault.Target: make(chan struct{}, asking)}
	return &s
}

// ask waits for a place among the names that are asked for at a side.
func (s *Scope) ask(ctx context.Context, side fault.Side) (done func(), err error) {
	select {
	case s.asks[side] <- struct{}{}:
		return func() { <-s.asks[side] }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Surveyed is the plan of one target repository, and what was learned while it was made.
type Surveyed struct {
	plan.Repository

	Explains []plan.Explain
	Notes    []string
	Session  *place.Session
	Mark     *Mark
}

// Landing is the survey of one landing: its sources, and the target that receives what is selected of them.
type Landing struct {
	*Scope
	Of    plan.Landing
	Into  *Surveyed
	loose map[ref.Repo]*loose // what of the same sources goes by digest; nil is not known yet
	seen  plan.Inventory      // what the same sources hold, where another landing looked at them before; else nil
	gone  []plan.Step         // and what of that is broken

	mu     sync.Mutex
	at     ref.Repo // the source that is to be named beside the target when there is trouble
	broken []plan.Step
	Extra  int // tags that only the target has
}

// listing is what one repository says it holds.
type listing struct {
	at   place.Repository
	tags []oci.Listed
	part bool // it says nothing: what is wanted is asked for, name by name
}

// loose is what a source repository holds that is to go by digest.
type loose struct {
	running   plan.Inventory     // what is in use and has no tag among those that go
	manifests []oci.Listed       // without a tag
	parents   []oci.Descriptor   // what may be an index, with a tag or without
	broken    map[ref.Name]error // of what is in use
}

// Mark is how far a landing will have been brought when all of its steps are done.
type Mark struct {
	From, To ref.Repo
	Now      ledger.Mark
}
