package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Outcome is how a run of a rule ended, in a word.
type Outcome string

const (
	OK      Outcome = "ok"      // all targets hold what they should
	Partly  Outcome = "partly"  // some steps failed
	Failed  Outcome = "failed"  // nothing came right
	Stopped Outcome = "stopped" // the run was stopped before its end
	Skipped Outcome = "skipped" // another run of the rule was under way
)

// maxFailures is how many failures a Result lists; all are counted.
const maxFailures = 100

// Result is what became of one run of a rule. Its JSON form is kept and printed.
type Result struct {
	Rule    string                  `json:"rule"`
	Outcome Outcome                 `json:"outcome"`
	DryRun  bool                    `json:"dryRun,omitempty"`
	Began   time.Time               `json:"began"`
	Took    time.Duration           `json:"tookNanoseconds"`
	Targets []Target                `json:"targets,omitempty"` // by registry, in the order of their hosts
	Drift   int                     `json:"drift"`             // tags that were missing or re-tagged when the run looked
	Left    int                     `json:"left"`              // of them, those that are not right afterwards
	Blobs   oci.Blobs               `json:"blobs,omitzero"`
	Traffic map[string]dray.Traffic `json:"traffic,omitempty"` // by registry host
	Notes   []string                `json:"notes,omitempty"`
	Error   *plan.Problem           `json:"error,omitempty"` // what ended the whole, or the first failure

	err error
}

// Target is what became of one registry that a rule writes to. A dry run counts what would
// be: Done is what would move.
type Target struct {
	Host      string    `json:"host"`
	Missing   int       `json:"missing"`  // tags that were not there
	Retagged  int       `json:"retagged"` // tags that held something else
	Done      int       `json:"done"`
	Unchanged int       `json:"unchanged"`
	Failed    int       `json:"failed"` // not begun ones too
	Failures  []Failure `json:"failures,omitempty"`
}

// Failure is one step that did not come right.
type Failure struct {
	To    string       `json:"to"`
	Error plan.Problem `json:"error"`
}

// Err is why the run was not OK, the first of all reasons; nil for OK.
func (r Result) Err() error { return r.err }

// Mode says whether a run writes.
type Mode string

const (
	Write  Mode = ""
	DryRun Mode = "dry run"
)

// Tell is told of each repository of a run, one call at a time. An error ends the run.
type Tell func(to ref.Repo, steps []dray.StepReport, took time.Duration) error

// Run does what a rule says, or in a dry run only looks. What fails at one target stops no other.
func Run(ctx context.Context, d *dray.Dray, rule config.Mirror, mode Mode, obs event.Observer, tell Tell) Result {
	r := &run{dray: d, mode: mode, watch: obs, tell: tell, began: time.Now(), targets: map[string]*Target{},
		sum: Result{Rule: rule.Name, DryRun: mode == DryRun, Traffic: map[string]dray.Traffic{}}}
	r.sum.Began = r.began
	w, err := WorkOf(d, rule, r.began)
	if err == nil && w.Transfer != nil {
		err = r.transfer(ctx, *w.Transfer)
	}
	if w.Batch != nil && ctx.Err() == nil && (err == nil || !fault.Is(err, fault.Invalid)) {
		err = cmp.Or(err, r.batch(ctx, *w.Batch))
	}
	return r.end(ctx, err)
}

// run is a Result in the making.
type run struct {
	dray    *dray.Dray
	mode    Mode
	watch   event.Observer
	tell    Tell
	began   time.Time
	targets map[string]*Target
	first   error // of a step
	sum     Result
}

func (r *run) transfer(ctx context.Context, req dray.TransferRequest) error {
	var sum dray.TransferReport
	var err error
	if r.mode == DryRun {
		sum, err = r.dray.PlanTransfer(ctx, req, r.watch, func(p dray.RepositoryPlan) error { return r.see(p.To, planned(p.Steps), 0) })
	} else {
		sum, err = r.dray.Transfer(ctx, req, r.watch, func(p dray.RepositoryReport) error { return r.see(p.To, p.Steps, p.Took) })
	}
	r.sum.Notes = append(r.sum.Notes, sum.Notes...)
	r.sum.Blobs = sum.Blobs
	r.exchanged(sum.Traffic)
	if err != nil && sum.Err == err { //nolint:errorlint // the very same value: a step has it
		return nil
	}
	return err
}

func (r *run) batch(ctx context.Context, req dray.BatchRequest) error {
	p, err := r.dray.PlanBatch(ctx, req, r.watch)
	if err != nil {
		return err
	}
	r.sum.Notes = append(r.sum.Notes, p.Notes...)
	if r.mode == DryRun {
		r.exchanged(p.Traffic())
		return r.seeAll(planned(p.Steps), 0)
	}
	report, err := r.dray.Apply(ctx, p, r.watch)
	r.exchanged(report.Traffic)
	for _, s := range report.Steps {
		r.sum.Blobs.Sent += s.Blobs.Sent
		r.sum.Blobs.Mounted += s.Blobs.Mounted
		r.sum.Blobs.Present += s.Blobs.Present
		r.sum.Blobs.Bytes += s.Blobs.Bytes
	}
	if seen := r.seeAll(report.Steps, report.Took); seen != nil {
		return seen
	}
	if report.Err() != nil {
		return nil // a step has it
	}
	return err
}

// planned are the steps of a plan, as those of a report: what can not be done has failed.
func planned(steps []plan.Step) []dray.StepReport {
	all := make([]dray.StepReport, len(steps))
	for i, s := range steps {
		all[i] = dray.StepReport{Step: s, State: dray.Done}
		switch s.Action {
		case plan.Skip:
			if !s.Works() {
				all[i].State = dray.Unchanged
			}
		case plan.Conflict:
			all[i].State, all[i].Err = dray.Failed, &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: "mirror", Name: s.To.String(),
				Hint: "overwrite: update replaces it", Err: fmt.Errorf("it exists with another digest: it is %s, the source is %s", s.Replaces, s.Digest())}
		case plan.Broken:
			all[i].State, all[i].Err = dray.Failed, s.Problem.Err()
		}
	}
	return all
}

// seeAll sorts steps by their repositories.
func (r *run) seeAll(steps []dray.StepReport, took time.Duration) error {
	at := map[ref.Repo][]dray.StepReport{}
	var order []ref.Repo
	for _, s := range steps {
		if at[s.To.Repo] == nil {
			order = append(order, s.To.Repo)
		}
		at[s.To.Repo] = append(at[s.To.Repo], s)
	}
	for _, repo := range order {
		if err := r.see(repo, at[repo], took); err != nil {
			return err
		}
	}
	return nil
}

// see counts the steps of one repository.
func (r *run) see(to ref.Repo, steps []dray.StepReport, took time.Duration) error {
	t := r.targets[to.Host]
	if t == nil {
		t = &Target{Host: to.Host}
		r.targets[to.Host] = t
	}
	for _, s := range steps {
		drifts := s.Retags() || s.Replaces == "" && s.Digest() != "" && s.State != dray.Unchanged
		switch {
		case s.Retags():
			t.Retagged++
		case drifts:
			t.Missing++
		}
		if drifts {
			r.sum.Drift++
		}
		switch s.State {
		case dray.Unchanged:
			t.Unchanged++
			continue
		case dray.Done:
			t.Done++
		default:
			t.Failed++
		}
		if s.State != dray.Done || r.mode == DryRun && drifts {
			r.sum.Left++
		}
		if s.Err != nil {
			r.first = cmp.Or(r.first, s.Err)
			if len(t.Failures) < maxFailures {
				t.Failures = append(t.Failures, Failure{To: cmp.Or(s.Asked, s.To.String()), Error: *plan.ProblemOf(s.Err)})
			}
		}
	}
	if r.tell == nil {
		return nil
	}
	return r.tell(to, steps, took)
}

func (r *run) exchanged(traffic map[string]dray.Traffic) {
	for host, t := range traffic {
		sum := r.sum.Traffic[host]
		sum.Requests += t.Requests
		sum.Retries += t.Retries
		sum.Sent += t.Sent
		sum.Received += t.Received
		r.sum.Traffic[host] = sum
	}
}

func (r *run) end(ctx context.Context, whole error) Result {
	good, bad := 0, 0
	for _, t := range r.targets {
		good, bad = good+t.Done+t.Unchanged, bad+t.Failed
		r.sum.Targets = append(r.sum.Targets, *t)
	}
	slices.SortFunc(r.sum.Targets, func(a, b Target) int { return cmp.Compare(a.Host, b.Host) })
	r.sum.Took = time.Since(r.began)
	r.sum.err = cmp.Or(whole, r.first)
	switch {
	case ctx.Err() != nil && (r.sum.err != nil || bad > 0):
		r.sum.Outcome = Stopped
		r.sum.err = &fault.Fault{Kind: fault.Canceled, Op: "mirror", Name: r.sum.Rule, Err: context.Cause(ctx)}
	case whole == nil && bad == 0:
		r.sum.Outcome = OK
	case good > 0:
		r.sum.Outcome = Partly
	default:
		r.sum.Outcome = Failed
	}
	if r.sum.err != nil {
		r.sum.Error = plan.ProblemOf(r.sum.err)
	}
	return r.sum
}

// StoppedResult is that of a run that was left behind when everything was stopped.
func StoppedResult(rule string, began time.Time, err error) Result {
	return Result{Rule: rule, Outcome: Stopped, Began: began, Took: time.Since(began), Error: plan.ProblemOf(err), err: err}
}
