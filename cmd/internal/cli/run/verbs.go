package run

import (
	"context"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// Place is where verbs are carried out: this process (here), or a server (there). What is printed
// is made of what a place returns, and does not depend on which it is.
type Place interface {
	// plan makes the plan of w and writes nothing.
	plan(ctx context.Context, w Writing, s *out.Story) (plan.Plan, error)
	// write carries w out. Where no plan could be made it is nil, and err says why.
	write(ctx context.Context, w Writing, s *out.Story) (p *plan.Plan, r dray.Report, err error)
	// planEach and runEach are the same for verbs that go repository by repository.
	planEach(ctx context.Context, w Streaming, s *out.Story, visit func(dray.RepositoryPlan) error) (dray.TransferReport, error)
	runEach(ctx context.Context, w Streaming, s *out.Story, visit func(dray.RepositoryReport) error) (dray.TransferReport, error)
	verify(ctx context.Context, w Verifying, s *out.Story, visit func(dray.VerifyEntry) error) (dray.Receipt, error)

	names() *dray.Dray // reads names by this machine's configuration; it asks no registry
	close()
}

// Writing is one run of a verb that writes.
type Writing struct {
	Past    string // "imported"
	Instead string // hint where a target is in the way
	DryRun  bool
	Many    bool // each step stands for itself, and each failure has its line
	Hold    plan.Hold
	Plan    func(context.Context, *dray.Dray, event.Observer) (*dray.Prepared, error)
	Ask     ask.What                 // the same at a server
	Note    func([]plan.Step) string // what else a person should know of a plan; nil is nothing

	// Keep writes down what is left to do, and says where; nil keeps nothing. It gets no steps where
	// no plan could be made, for the reason why.
	Keep func(d *dray.Dray, steps []dray.StepReport, why error) (where string, err error)
}

// notes are those of the command itself about a plan.
func (w Writing) notes(steps []plan.Step) []string {
	if w.Note == nil {
		return nil
	}
	if text := w.Note(steps); text != "" {
		return []string{text}
	}
	return nil
}

// tellKept says where the rest of a run is written down, or why it is not.
func tellKept(a *app.App, where string, err error) {
	switch {
	case err != nil:
		a.Fail(err)
	case where != "" && !a.Quiet:
		a.Warn("%s", where)
	}
}

// named is an error of one of many targets, which it does not name itself.
type named struct {
	prefix string
	err    error
}

func (n named) Error() string { return n.prefix + n.err.Error() }

func (n named) Unwrap() error { return n.err }

// Streaming is one run of a verb whose steps are too many to be held: they are told
// repository by repository.
type Streaming struct {
	Past      string // "transferred"
	Verb      string // of the plan that --dry-run prints
	Overwrite plan.Overwrite
	Backup    plan.Backup
	Proof     string // the command that looks below what was right already
	DryRun    bool
	FailedTo  string
	Ask       ask.What // the same at a server
	Plan      func(context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.RepositoryPlan) error) (dray.TransferReport, error)
	Run       func(context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.RepositoryReport) error) (dray.TransferReport, error)
}

// head is what the plan that --dry-run prints begins with.
func (w Streaming) head() plan.Plan {
	return plan.Plan{Verb: w.Verb, Overwrite: w.Overwrite, Hold: plan.Each, Backup: w.Backup}
}

// Verifying is one run of verify.
type Verifying struct {
	Receipt string // the file that gets it; "" is none
	Run     func(context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.VerifyEntry) error) (dray.Receipt, error)
	Ask     ask.What // the same at a server
}
