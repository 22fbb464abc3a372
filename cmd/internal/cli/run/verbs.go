package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
)

// Place is where verbs are carried out: in this process (here), or at a server (There). What is printed is
// made from the results of a Place, and does not depend on which Place it is.
type Place interface {
	// plan makes the plan of w and writes nothing.
	plan(ctx context.Context, w Writing, s *out.Story) (plan.Plan, error)
	// write carries w out. If no plan could be made, p is nil and err is the reason.
	write(ctx context.Context, w Writing, s *out.Story) (p *plan.Plan, r dray.Report, err error)
	// planEach and runEach are the same for verbs that work repository by repository. planEach calls begin with the
	// plan without its steps before it calls visit. It does not call begin if it does not know what that is.
	planEach(
		ctx context.Context, w Streaming, s *out.Story, begin func(plan.Plan), visit func(dray.RepositoryPlan) error,
	) (dray.TransferReport, error)
	runEach(
		ctx context.Context, w Streaming, s *out.Story, visit func(dray.RepositoryReport) error,
	) (dray.TransferReport, error)
	verify(ctx context.Context, w Verifying, s *out.Story, visit func(dray.VerifyEntry) error) (dray.Receipt, error)

	names(context.Context) (*dray.Dray, error) // reads names by the configuration of the place
	close()
}

// Writing is one run of a verb that writes.
type Writing struct {
	Past    string // what the summary says was done, such as "imported"
	Instead string // the hint if a target tag has another digest
	DryRun  bool
	Many    bool // each step is on its own, and each failure has its own line
	Hold    plan.Hold
	Plan    func(context.Context, *dray.Dray, event.Observer) (*dray.Prepared, error)
	Ask     ask.What                 // makes the request if a server carries it out
	Note    func([]plan.Step) string // makes a note about a plan, or ""; nil makes none

	// Keep writes a list of what is left to do, and returns a line that says where; nil writes none.
	// If no plan could be made, it gets no steps, and why is the reason.
	Keep func(d *dray.Dray, steps []dray.StepReport, why error) (where string, err error)
}

// notes returns the notes of the command itself about a plan.
func (w Writing) notes(steps []plan.Step) []string {
	if w.Note == nil {
		return nil
	}
	if text := w.Note(steps); text != "" {
		return []string{text}
	}
	return nil
}

// tellKept prints where the rest of a run is listed, or why it is not.
func tellKept(a *app.App, where string, err error) {
	switch {
	case err != nil:
		a.Fail(err)
	case where != "" && !a.Quiet:
		a.Warnf("%s", where)
	}
}

// stopped prints the last line of a run that an interrupt has ended, or that somebody canceled at the server:
// what is done, how many steps are left, and how to go on. err is that of the run. It returns the exit code.
func stopped(ctx context.Context, a *app.App, done string, states map[dray.State]int, err error) error {
	why, next := "interrupted", "run the same command again to continue"
	if ctx.Err() == nil { // at the server
		why = "canceled"
		if id := canceledJob(err); id != "" {
			next = "to continue: " + a.Next("jobs", "retry", id)
		}
	}
	parts := append([]string{done}, out.Left(states)...)
	a.Warnf("%s: %s; %s", why, strings.Join(parts, ", "), next)
	return out.Ended(out.ExitInterrupted)
}

// jobOp is the Op of the error of a job that was canceled; its Name is the id of the job.
const jobOp = "job"

// canceledJob returns the id of the job that was canceled according to err; "" if err does not say it.
func canceledJob(err error) string {
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Kind == fault.Canceled && f.Op == jobOp {
		return f.Name
	}
	return ""
}

// named puts the name of a target before an error that does not name it.
type named struct {
	prefix string
	err    error
}

func (n named) Error() string { return n.prefix + n.err.Error() }

func (n named) Unwrap() error { return n.err }

// conflict returns the error of a step whose target tag has another digest.
func conflict(verb string, s plan.Step, hint string) error {
	return &fault.Fault{
		Kind: fault.Conflict,
		Side: fault.Target,
		Op:   verb,
		Name: s.To.String(),
		Hint: hint,
		Err: fmt.Errorf("the tag exists with another digest: it is %s, the source is %s",
			s.Replaces, s.Trim.Told(s.Origin())),
	}
}

// Streaming is one run of a verb with too many steps to keep in memory. They are printed repository by
// repository.
type Streaming struct {
	Past      string // what the summary says was done, such as "transferred"
	Verb      string // of the plan that --dry-run prints
	Overwrite plan.Overwrite
	Backup    plan.Backup
	Hold      plan.Hold // "" means plan.Each
	Referrers plan.Referrers
	Platforms plan.Platforms
	Proof     func() string // the command that proves the content of tags that were up to date
	DryRun    bool
	FailedTo  string
	Ask       ask.What // makes the request if a server carries it out

	Plan func(
		context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.RepositoryPlan) error,
	) (dray.TransferReport, error)
	Run func(
		context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.RepositoryReport) error,
	) (dray.TransferReport, error)
}

// SeeVerify is the Proof of a run that does not know its ends.
func SeeVerify() string { return "see " + shell.Dray("verify", "--help") }

// head returns the header of the plan that --dry-run prints, as the flags say it.
func (w Streaming) head() plan.Plan {
	return plan.Plan{Verb: w.Verb, Overwrite: w.Overwrite, Hold: cmp.Or(w.Hold, plan.Each), Backup: w.Backup,
		Referrers: w.Referrers, Platforms: w.Platforms}
}

// Verifying is one run of verify.
type Verifying struct {
	Receipt string   // the file for the receipt; "" writes none
	Ask     ask.What // makes the request if a server carries it out

	Run func(
		context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.VerifyEntry) error,
	) (dray.Receipt, error)
}
