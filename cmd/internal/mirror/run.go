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
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Outcome says in one word how a run of a rule ended.
type Outcome string

// The outcomes of a run.
const (
	OK      Outcome = "ok"      // every target is up to date
	Partly  Outcome = "partly"  // some steps failed, others succeeded
	Failed  Outcome = "failed"  // no step succeeded
	Stopped Outcome = "stopped" // the run was stopped before it was complete
	Skipped Outcome = "skipped" // another run of the rule was in progress
)

// maxFailures is the maximum number of failures that a Target lists. All failures are counted.
const maxFailures = 100

// Result is the result of one run of a rule. Its JSON form is stored and printed.
type Result struct {
	Rule    string        `json:"rule"`
	Outcome Outcome       `json:"outcome"`
	DryRun  bool          `json:"dryRun,omitempty"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"tookNanoseconds"`
	Targets []Target      `json:"targets,omitempty"` // one for each registry, sorted by host
	Drift   int           `json:"drift"`             // tags that were missing or had another digest when the run began
	Left    int           `json:"left"`              // steps that failed; in a dry run also the tags of Drift
	Blobs   oci.Blobs     `json:"blobs,omitzero"`

	// Referrers says what became of what refers to the images. It names at most 100 that did not arrive.
	Referrers dray.ReferrerReport `json:"referred,omitzero"`

	Traffic map[string]dray.Traffic `json:"traffic,omitempty"` // by registry host
	Notes   []string                `json:"notes,omitempty"`
	Error   *plan.Problem           `json:"error,omitempty"` // the error that ended the run, or that of the first failed step

	err error
}

// Target is the result for one registry to which a rule writes. In a dry run, Done counts the steps that
// a real run would carry out.
type Target struct {
	Host      string    `json:"host"`     // or an end on disk, such as "oci:DIR"
	Missing   int       `json:"missing"`  // tags that did not exist
	Retagged  int       `json:"retagged"` // tags that had another digest
	Done      int       `json:"done"`
	Unchanged int       `json:"unchanged"`
	Failed    int       `json:"failed"`
	Left      int       `json:"notFinished,omitempty"` // steps that an interrupt ended, or that did not start
	Failures  []Failure `json:"failures,omitempty"`
}

// Failure is one step that failed.
type Failure struct {
	To    string       `json:"to"`
	Error plan.Problem `json:"error"`
}

// Err returns the first error of the run. It is nil if the outcome is OK.
func (r Result) Err() error { return r.err }

// Mode says whether a run writes to its targets.
type Mode string

// The modes of a run. A dry run only reads.
const (
	Write  Mode = ""
	DryRun Mode = "dry run"
)

// Tell is called with the results of each repository of a run, one call at a time. An error ends the run.
type Tell func(dray.RepositoryReport) error

// Run runs a rule. Each image must pass the gate g; nil admits all. In a dry run, Run only reads. A failure
// at one target does not stop the others. A nil tell is not called.
func Run(
	ctx context.Context, d *dray.Dray, rule config.Mirror, g gate.Gate, mode Mode, obs event.Observer, tell Tell,
) Result {
	d = d.For(place.Job{Words: name.Keys, IncludeForeign: rule.IncludeForeign, Via: dray.Via(rule.Via)})
	r := &run{dray: d, mode: mode, watch: obs, tell: tell, began: time.Now(), targets: map[string]*Target{},
		sum: Result{Rule: rule.Name, DryRun: mode == DryRun, Traffic: map[string]dray.Traffic{}}}
	r.sum.Began = r.began
	w, err := workOf(d, rule, r.began, nil) // planning makes the notes
	if err == nil && w.Transfer != nil {
		w.Transfer.Gate = g
		err = r.transfer(ctx, *w.Transfer)
	}
	if w.Batch != nil && ctx.Err() == nil && (err == nil || !fault.Is(err, fault.Invalid)) {
		w.Batch.Gate = g
		err = cmp.Or(err, r.batch(ctx, *w.Batch))
	}
	return r.end(ctx, err)
}

// run collects the Result of a run.
type run struct {
	dray    *dray.Dray
	mode    Mode
	watch   event.Observer
	tell    Tell
	began   time.Time
	targets map[string]*Target
	first   error // of a step

	attached int // digest tags that a dry run would copy
	sum      Result
}

func (r *run) transfer(ctx context.Context, req dray.TransferRequest) error {
	var sum dray.TransferReport
	var err error
	if r.mode == DryRun {
		sum, err = r.dray.PlanTransfer(ctx, req, r.watch, func(p dray.RepositoryPlan) error {
			return r.see(dray.RepositoryReport{To: p.To, Steps: planned(p.Steps), Part: p.Part, More: p.More})
		})
		sum.Referrers.Planned += r.attached
	} else {
		sum, err = r.dray.Transfer(ctx, req, r.watch, func(p dray.RepositoryReport) error {
			return r.see(p)
		})
	}
	r.sum.Notes = append(r.sum.Notes, sum.Notes...)
	r.sum.Blobs = sum.Blobs
	r.refer(sum.Referrers)
	r.exchanged(sum.Traffic)
	if err != nil && sum.Err == err { //nolint:errorlint // the very same value: see has counted it as the error of a step
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
		if err := r.dray.FindReferrers(ctx, p); err != nil {
			return err
		}
		for _, s := range p.Steps {
			r.sum.Referrers.Planned += s.Brings()
		}
		r.exchanged(p.Traffic())
		return r.seeAll(planned(p.Steps), 0)
	}
	done, err := r.dray.Apply(ctx, p, r.watch)
	r.exchanged(done.Traffic)
	r.refer(done.Referrers())
	for _, s := range done.Steps {
		r.sum.Blobs = r.sum.Blobs.And(s.Blobs)
	}
	if seen := r.seeAll(done.Steps, done.Took); seen != nil {
		return seen
	}
	if done.Err() != nil {
		return nil // seeAll has already counted it as the error of a step
	}
	return err
}

// refer adds what became of referrers.
func (r *run) refer(all dray.ReferrerReport) {
	all.Lost = all.Lost[:min(len(all.Lost), maxFailures-len(r.sum.Referrers.Lost))]
	r.sum.Referrers.Add(all)
}

// planned returns the steps of a plan as steps of a report. A step that cannot be carried out is Failed.
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
			all[i].State, all[i].Err = dray.Failed, conflict(s)
		case plan.Broken, plan.Refused:
			all[i].State, all[i].Err = dray.Failed, s.Problem.Err()
		}
	}
	return all
}

// conflict returns the error of a step whose target exists with another digest.
func conflict(s plan.Step) error {
	return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: "mirror", Name: s.To.String(),
		Err:  fmt.Errorf("the tag exists with another digest: it is %s, the source is %s", s.Replaces, s.Digest()),
		Hint: "use overwrite: update to replace it"}
}

// seeAll groups steps by target repository and calls see with each group.
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
		if err := r.see(dray.RepositoryReport{To: repo, Steps: at[repo], Took: took}); err != nil {
			return err
		}
	}
	return nil
}

// see counts the steps of one repository and passes them to tell. A digest tag is counted with what refers to
// images.
func (r *run) see(rep dray.RepositoryReport) error {
	to, steps := rep.To, rep.Steps
	host := to.Host
	if to.IsLayout() {
		host = to.In("").String()
	}
	t := r.targets[host]
	if t == nil {
		t = &Target{Host: host}
		r.targets[host] = t
	}
	own, repeats := rep.Tags(), report.Repeats(steps)
	for _, s := range steps {
		if !own(s) && s.Err == nil || repeats(s) {
			if s.Action == plan.Copy {
				r.attached++
			}
			continue
		}
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
		case dray.NotFinished, dray.NotStarted:
			t.Left++
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
	return r.tell(rep)
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
		good, bad = good+t.Done+t.Unchanged, bad+t.Failed+t.Left
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

// FailedResult returns the result of a run that could not begin.
func FailedResult(rule string, began time.Time, err error) Result {
	return Result{
		Rule: rule, Outcome: Failed, Began: began, Took: time.Since(began),
		Error: plan.ProblemOf(err), err: err,
	}
}

// StoppedResult returns the result of a run that had not returned when the program stopped.
func StoppedResult(rule string, began time.Time, err error) Result {
	return Result{
		Rule: rule, Outcome: Stopped, Began: began, Took: time.Since(began),
		Error: plan.ProblemOf(err), err: err,
	}
}
