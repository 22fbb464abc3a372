package verb

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

const (
	// grace is how long a verb may take to return once its job is canceled: its state says so
	// within a second. What is left behind ends on its own, and the fence keeps it from names.
	grace = 500 * time.Millisecond

	// often is the time between two snapshots of progress.
	often = 250 * time.Millisecond

	// unasked is when a job is tried again that began while the database did not answer.
	unasked = 5 * time.Second

	// mostSteps is how many steps a report repeats; all of them are items.
	mostSteps = 1000
)

// work is one run of a job.
type work struct {
	*Service
	run   *job.Run
	dray  *dray.Dray // guarded by announce
	row   row
	at    time.Time // when the job was made
	tally *tally

	mu        sync.Mutex
	good      int // steps that ended well
	bad       int
	kinds     map[fault.Kind]bool
	first     error
	announced map[ref.Name]bool // names that the audit log says are set, of steps that have not ended
}

// Run does a job: it is the queue's job.Runner.
func (s *Service) Run(ctx context.Context, r *job.Run) job.Outcome {
	w := &work{Service: s, run: r, at: r.Job.Created, tally: newTally(), kinds: map[fault.Kind]bool{}, announced: map[ref.Name]bool{}}
	w.dray = s.dray.Guarded(w.announce)
	done := make(chan job.Outcome, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- failure(job.Failed, nil, &fault.Fault{Kind: fault.Internal, Op: "run job", Err: fmt.Errorf("it panicked: %v", p)})
			}
		}()
		done <- w.do(ctx)
	}()
	tick := time.NewTicker(often)
	defer tick.Stop()
	var late <-chan time.Time
	ended := ctx.Done()
	for {
		select {
		case out := <-done:
			w.snapshot()
			return out
		case <-tick.C:
			w.snapshot()
		case <-ended:
			ended, late = nil, time.After(grace)
		case <-late:
			return failure(job.Canceled, nil, &fault.Fault{Kind: fault.Canceled, Op: "run job", Err: errors.New("it stopped before its end")})
		}
	}
}

func (w *work) snapshot() {
	if raw, fresh := w.tally.snapshot(); fresh {
		w.run.Progress(raw)
	}
}

// do reads the request, holds it against the rules as they are now, and carries it out.
func (w *work) do(ctx context.Context) job.Outcome {
	r := w.run.Job
	sealed, err := w.run.Secret(ctx)
	if err == nil {
		err = json.Unmarshal(r.Request, &w.row)
	}
	hidden, e := unseal(sealed)
	if err = cmp.Or(err, e); err != nil {
		return failure(job.Failed, nil, err)
	}
	p, err := w.access.Still(ctx, access.Principal{Name: r.Principal, Role: w.row.Role, Via: w.row.Via})
	switch {
	case fault.Is(err, fault.Unavailable):
		return job.Outcome{State: job.Waiting, After: unasked}
	case fault.Is(err, fault.Denied):
		w.orphan(ctx)
	}
	if err := cmp.Or(err, shape(w.row.Request)); err != nil {
		return failure(job.Failed, nil, err)
	}
	if err := w.allow(ctx, p, w.row.Request, w.at); err != nil {
		return failure(job.Failed, nil, err)
	}
	join(&w.row.Request, hidden)
	report, err := w.carryOut(ctx, hidden)
	return w.outcome(ctx, report, err)
}

// orphan pauses the schedule whose job this is: its owner is nobody any more, and it would fail
// each time. The job says why.
func (w *work) orphan(ctx context.Context) {
	r := w.run.Job
	if r.Schedule == "" {
		return
	}
	err := w.queue.PauseSchedule(ctx, r.Schedule, func(tx *sql.Tx) error {
		return w.access.Audit(tx, access.Entry{Principal: r.Principal, Verb: "schedule pause (its owner is gone)", Source: r.Source, Target: r.Target, Old: r.Schedule})
	})
	if err != nil {
		w.run.Log("its schedule could not be paused: " + oneLine(err))
		return
	}
	w.run.Log("its schedule is paused: who made it is nobody any more")
}

// carryOut does the verb. The report may be there beside an error.
func (w *work) carryOut(ctx context.Context, hidden secret) (report any, err error) {
	if w.row.Failed {
		return w.again(ctx)
	}
	switch w.row.Kind {
	case wire.KindTransfer:
		req, err := buildTransfer(*w.row.Transfer, w.at)
		if err != nil {
			return nil, err
		}
		return w.lost(w.dray.Transfer(ctx, req, w.observe, func(r dray.RepositoryReport) error { return w.finished(ctx, r.Steps) }))
	case wire.KindVerify:
		return w.verify(ctx, *w.row.Verify)
	case wire.KindPlan:
		if w.row.Plan.Uploaded {
			return w.upload(ctx, hidden.File)
		}
		return w.plan(ctx, *w.row.Plan)
	case wire.KindApply:
		return w.apply(ctx, *w.row.Apply)
	}
	p, err := w.planOne(ctx, w.row.Request)
	if err != nil {
		return nil, err
	}
	return w.applyAll(ctx, p)
}

// lost counts images that run somewhere and are nowhere to be found as a failure.
func (w *work) lost(rep dray.TransferReport, err error) (any, error) {
	if rep.InUse != nil && len(rep.InUse.Lost) > 0 {
		w.failed(&fault.Fault{Kind: fault.NotFound, Side: fault.Source, Op: wire.KindTransfer, Err: fmt.Errorf("%d images that are in use are lost; the report names them", len(rep.InUse.Lost))})
	}
	return rep, err
}

// applyAll carries out a plan that is held at once.
func (w *work) applyAll(ctx context.Context, p *dray.Plan) (any, error) {
	for _, note := range p.Notes {
		w.run.Log("note: " + note)
	}
	w.tally.steps(len(p.Steps))
	rep, err := w.dray.Apply(ctx, p, w.observe)
	if e := w.finished(ctx, rep.Steps); err == nil {
		err = e
	}
	if p.Hold == plan.All && w.bad > 0 && (len(p.Conflicts()) > 0 || broken(p.Steps)) {
		w.good = 0 // nothing was touched, also where another target was right before
	}
	if len(rep.Steps) > mostSteps {
		return struct {
			dray.Report
			Steps   []dray.StepReport `json:"steps"`
			LeftOut int               `json:"stepsLeftOut"` // they are items
		}{rep, nil, len(rep.Steps)}, err
	}
	return rep, err
}

func broken(steps []plan.Step) bool {
	for _, s := range steps {
		if s.Action == plan.Broken {
			return true
		}
	}
	return false
}

func (w *work) apply(ctx context.Context, r wire.Apply) (any, error) {
	in, err := w.openPlan(ctx, r.Plan)
	if err != nil {
		return nil, err
	}
	req := dray.PlanFileRequest{Plan: in, Follow: r.Follow, SourceLogin: loginOf(r.SourceLogin), TargetLogin: loginOf(r.TargetLogin)}
	return w.dray.ApplyFile(ctx, req, w.observe, func(rep dray.RepositoryReport) error { return w.finished(ctx, rep.Steps) })
}

func (w *work) verify(ctx context.Context, r wire.Verify) (any, error) {
	req, err := buildVerify(r, w.at)
	if err != nil {
		return nil, err
	}
	// What somebody says of themselves is beside what the server knows, not in its place.
	by := w.run.Job.Principal
	if req.By != "" && req.By != by {
		by += ", for " + req.By
	}
	req.Tool, req.By = w.tool, by
	receipt, err := w.dray.Verify(ctx, req, w.observe, func(e dray.VerifyEntry) error {
		w.tally.planned(1)
		if e.Match == dray.Same && !e.Healed {
			w.good++
			return nil
		}
		switch {
		case e.Err != nil:
			w.failed(e.Err)
		case e.Match != dray.Same:
			w.failed(&fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: wire.KindVerify, Name: e.To.String(), Err: fmt.Errorf("it is not what the source has: %s", e.Match)})
		default:
			w.good++
		}
		return w.item(ctx, e)
	})
	if receipt.When.IsZero() {
		return nil, err
	}
	return receipt, err
}

// item keeps a line of the report.
func (w *work) item(ctx context.Context, line any) error {
	raw, err := json.Marshal(line)
	if err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "write report", Err: err}
	}
	return w.run.Item(ctx, raw)
}

// finished keeps what became of steps.
func (w *work) finished(ctx context.Context, steps []dray.StepReport) error {
	var unsure []access.Entry
	for _, s := range steps {
		said := w.over(s.To)
		switch s.State {
		case dray.Done, dray.Unchanged:
			w.good++
		case dray.Failed:
			w.failed(s.Err)
			w.run.Log(oneLine(s.Err))
			if said {
				unsure = append(unsure, w.entry(s.Step, " (not confirmed)"))
			}
		}
		if err := w.item(ctx, s); err != nil {
			return err
		}
	}
	w.tally.done(len(steps))
	w.audit(ctx, unsure)
	return nil
}

// announce is asked before names are set. It says so in the audit log, in the transaction that
// finds that this attempt still holds the job: no name moves that the log does not tell of, also
// where this process ends before it knows that it did.
func (w *work) announce(ctx context.Context, steps []plan.Step) error {
	var entries []access.Entry
	for _, s := range steps {
		if s.Backup != "" {
			entries = append(entries, access.Entry{Verb: w.run.Job.Kind + " (backup)", Source: s.To.String(), Target: s.Kept().String(), New: string(s.Replaces)})
		}
		entries = append(entries, w.entry(s, ""))
	}
	const tries = 3
	for n := 1; ; n++ {
		err := w.run.Tx(ctx, func(tx *sql.Tx) error { return w.write(tx, entries) })
		if n < tries && errors.Is(err, store.ErrUncertain) {
			continue // a line that is there twice harms nobody
		}
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range steps {
				w.announced[s.To] = true
			}
		}
		return err
	}
}

// over reports whether name was announced, and forgets that.
func (w *work) over(name ref.Name) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.announced[name]
	delete(w.announced, name)
	return said
}

func (w *work) entry(s plan.Step, more string) access.Entry {
	return access.Entry{Verb: w.run.Job.Kind + more, Source: s.From.String(), Target: s.To.String(), Old: string(s.Replaces), New: string(s.Digest())}
}

func (w *work) write(tx *sql.Tx, entries []access.Entry) error {
	for _, e := range entries {
		e.Principal = w.run.Job.Principal
		if err := w.access.Audit(tx, e); err != nil {
			return err
		}
	}
	return nil
}

// atOnce is how many entries of the audit log one transaction writes.
const atOnce = 200

// audit says which of the names that were announced their targets did not confirm. That it can
// not be written is told, and undoes nothing.
func (w *work) audit(ctx context.Context, entries []access.Entry) {
	ctx = context.WithoutCancel(ctx)
	for some := range slices.Chunk(entries, atOnce) {
		if err := w.db.Tx(ctx, func(tx *sql.Tx) error { return w.write(tx, some) }); err != nil {
			w.run.Log("the audit log could not be written: " + oneLine(err))
		}
	}
}

// failed counts a step that failed.
func (w *work) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		w.first = err
	}
	w.bad++
	w.kinds[fault.KindOf(err)] = true
}

// outcome says how the job ended: Done, Partly where some steps ended well and others not,
// Failed, or Canceled where its context ended first.
func (w *work) outcome(ctx context.Context, report any, err error) job.Outcome {
	var raw json.RawMessage
	if report != nil {
		var e error
		if raw, e = json.Marshal(report); e != nil {
			return failure(job.Failed, nil, &fault.Fault{Kind: fault.Internal, Op: "write report", Err: e})
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil && (err != nil || w.bad > 0):
		return failure(job.Canceled, raw, &fault.Fault{Kind: fault.Canceled, Op: w.row.Kind, Err: errors.New("it stopped before its end")})
	case err == nil && w.bad == 0:
		return job.Outcome{State: job.Done, Report: raw}
	case w.bad == 0:
		return failure(job.Failed, raw, err)
	}
	out := failure(job.Failed, raw, w.first)
	if w.good > 0 {
		out.State = job.Partly
	}
	if w.good+w.bad > 1 {
		out.Failure.Text = fmt.Sprintf("%d of %d steps failed: %s", w.bad, w.good+w.bad, out.Failure.Text)
	}
	if len(w.kinds) > 1 {
		out.Failure.Kind = "" // several
	}
	return out
}

func failure(state job.State, report json.RawMessage, err error) job.Outcome {
	return job.Outcome{State: state, Report: report, Failure: job.FailureOf(err)}
}

func (w *work) observe(e event.Event) {
	w.watch.Tell(e)
	w.tally.see(e)
	if kind, told := tells[e.Kind]; told {
		if raw, err := json.Marshal(wire.TellOf(e)); err == nil {
			w.run.Emit(kind, raw)
		}
	}
	switch e.Kind {
	case event.Noted:
		w.run.Log("note: " + e.Text)
	case event.Retried:
		w.run.Log(fmt.Sprintf("%s: again in %s: %s", e.Host, e.Wait.Round(time.Millisecond), oneLine(e.Err)))
	case event.Waiting:
		w.run.Log(fmt.Sprintf("%s: waiting %s: %s", e.Host, e.Wait.Round(time.Millisecond), e.Text))
	}
}
