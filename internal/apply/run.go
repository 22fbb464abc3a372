package apply

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// Run is one application of a plan.
type Run struct {
	session *place.Session
	Plan    *plan.Plan
	believe oci.Proof
	guard   func(context.Context, []plan.Step) error    // of who applies the plan; who made it may have had another
	Turn    func(context.Context) (end func(), ok bool) // a place for one image; nil is any number
	mu      sync.Mutex
	Reports []report.Step
}

// NewRun begins an application of p. A nil session is one that is opened when the plan is checked.
func NewRun(b *place.Base, s *place.Session, p *plan.Plan, believe oci.Proof) *Run {
	r := &Run{session: s, Plan: p, believe: believe, guard: b.Guard, Reports: make([]report.Step, len(p.Steps))}
	for i, step := range p.Steps {
		r.Reports[i] = report.Step{Step: step, State: report.NotStarted}
	}
	return r
}

// Settled writes down how a step ends that needs no work.
func (r *Run) Settled(i int, s plan.Step) {
	switch s.Action {
	case plan.Skip:
		r.End(i, report.Unchanged, nil)
	case plan.Conflict:
		r.End(i, report.Failed, conflict(r.Plan.Verb, s))
	case plan.Broken:
		r.End(i, report.Failed, s.Problem.Err())
	}
}

func conflict(verb string, s plan.Step) error {
	hint := "use --force to replace it"
	if verb == "copy" || verb == "transfer" {
		hint = "use --overwrite update to replace it"
	}
	return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: s.To.String(), Hint: hint,
		Err: fmt.Errorf("the tag exists with another digest: it is %s, the source is %s", s.Replaces, s.Digest())}
}

// overwrite is what s may do with what its name holds.
func (r *Run) overwrite(s plan.Step) plan.Overwrite { return cmp.Or(s.Overwrite, r.Plan.Overwrite) }

// End writes down how step i ended, and tells it.
func (r *Run) End(i int, s report.State, err error) {
	r.mu.Lock()
	r.Reports[i].State, r.Reports[i].Err = s, err
	r.mu.Unlock()
	e := event.Event{Kind: event.Finished, Step: i, Name: r.Plan.Steps[i].To.String(), Digest: string(r.Plan.Steps[i].Digest()), Err: err}
	if err != nil {
		e.Kind = event.Failed
	}
	r.session.Observe(e)
}

// FirstErr is the error of the first step that failed; nil is none.
func (r *Run) FirstErr() error {
	for _, rep := range r.Reports {
		if rep.Err != nil {
			return rep.Err
		}
	}
	return nil
}

// Healed writes down what came of a look below a name.
func (r *Run) Healed(i int, e report.Comparison) {
	r.Reports[i].Lacks = e.Match == report.Incomplete || e.Match == report.Corrupted
	switch {
	case e.Match == report.Same && e.Healed:
		r.Reports[i].Healed = true
		r.End(i, report.Done, nil)
	case e.Match == report.Same:
		r.Reports[i].Proven = true
	case e.Err != nil:
		r.End(i, report.Failed, e.Err)
	default:
		lack := fmt.Errorf("%d things below it are not there", len(e.Lacks))
		if len(e.Lacks) > 0 {
			lack = fmt.Errorf("%w, the first is %s %s", lack, e.Lacks[0].What, e.Lacks[0].Digest)
		}
		r.End(i, report.Failed, &fault.Fault{Kind: fault.Corrupt, Side: fault.Target, Op: "heal", Name: e.To.String(), Err: lack})
	}
}
