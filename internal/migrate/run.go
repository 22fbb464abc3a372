package migrate

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// planning is how many repositories are looked at side by side. Their plans are what
// is in memory.
const planning = 16

// transferring is one transfer, or one application of a plan of many repositories.
type transferring struct {
	*survey.Scope
	req    Request
	names  *name.Reader
	watch  event.Observer
	report *summing
	shared *place.Sharing
	spent  *place.Traffic
	images chan struct{}
	hold   plan.Hold // "" is plan.Each

	paths   map[ref.Repo]string // of the sources' layouts, the repositories that they stand for
	running *running            // nil where nobody asks what is in use

	telling sync.Mutex // of visit: one call at a time
	visit   func(report.Repository) error
}

// running follows what becomes of the images in use.
type running struct {
	images    []ref.Name
	elsewhere int
	looked    map[ref.Repo]bool // sources that were looked at
	found     map[ref.Name]bool
}

// Request is what a transfer is asked for. The public TransferRequest has the words about each.
type Request struct {
	Sources []string
	Target  string
	Also    []string
	Prefer  []string

	InUse     plan.InUse
	Selection plan.Selection
	Mapping   plan.Mapping
	Map       plan.TagMap

	Overwrite   plan.Overwrite
	Backup      plan.Backup
	CopyLocks   bool
	Proof       oci.Proof
	Heal        bool
	Delay       time.Duration
	Incremental bool
	Explain     func(plan.Explain)

	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

func newTransferring(b *place.Base, names *name.Reader, req Request, obs event.Observer) *transferring {
	req.Overwrite = cmp.Or(req.Overwrite, plan.Update)
	return &transferring{
		Scope: newScope(b, req), req: req, names: names, watch: obs, report: newSumming("transfer"), shared: place.NewSharing(b.Earlier), spent: place.NewTraffic(),
		images: make(chan struct{}, b.Images),
	}
}

// newScope is what the survey of req has to know of it.
func newScope(b *place.Base, req Request) *survey.Scope {
	return survey.NewScope(survey.Scope{
		Base: b, Selection: req.Selection, InUse: req.InUse, Map: req.Map, Overwrite: req.Overwrite, Backup: req.Backup,
		CopyLocks: req.CopyLocks, Incremental: req.Incremental, Explained: req.Explain != nil,
	})
}

// rules are those of the plan of a landing.
func (r *transferring) rules() survey.Rules {
	return survey.Rules{Verb: "transfer", Overwrite: r.req.Overwrite, Backup: r.req.Backup}
}

// begin opens what one target repository needs.
func (r *transferring) begin() *place.Session {
	s := r.Base.Begin(r.req.SourceLogin, r.req.TargetLogin, r.watch)
	s.Shared, s.Traffic = r.shared, r.spent
	return s
}

// turn waits for a place among the images in flight. end gives it back, after the rest
// that was asked for. It is false when ctx ended first.
func (r *transferring) turn(ctx context.Context) (end func(), ok bool) {
	select {
	case r.images <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	return func() {
		if r.req.Delay > 0 {
			rest := time.NewTimer(r.req.Delay)
			defer rest.Stop()
			select {
			case <-rest.C:
			case <-ctx.Done():
			}
		}
		<-r.images
	}, true
}

// end tells of pulls and closes the sum. Where the whole went well, the first step that did not is the error.
func (r *transferring) end(err error) (report.Transfer, error) {
	sum, err := r.endPlan(err)
	return sum, cmp.Or(err, sum.Err)
}

// endPlan is end of what was only looked at: a step that can not be done is no error of it.
func (r *transferring) endPlan(err error) (report.Transfer, error) {
	r.shared.Keep()
	r.report.mu.Lock()
	defer r.report.mu.Unlock()
	r.report.sum.Traffic, r.report.sum.Pulls = r.spent.Exchanged(), r.spent.Pulls(r.Base)
	r.report.sum.Took = time.Since(r.report.began)
	return r.report.sum, err
}

// canceled is the error of what a context ended.
func canceled(ctx context.Context, verb string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: verb, Err: context.Cause(ctx)}
}

// explain tells why repositories and tags take part or not, if somebody asks.
func (r *transferring) explain(all ...plan.Explain) {
	for _, e := range all {
		if r.req.Explain != nil {
			r.req.Explain(e)
		}
	}
}
