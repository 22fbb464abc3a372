package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// there is a verb that a server carries out: a job of it.
type there struct {
	client *client.Client
	local  *dray.Dray
	job    wire.Job
}

func (t *there) names() *dray.Dray { return t.local }

func (t *there) close() {
	t.client.Close()
	if t.local != nil {
		t.local.Close()
	}
}

// leftOn says that a job was not waited for.
type leftOn struct{ job wire.Job }

func (g *leftOn) Error() string { return "job " + g.job.ID + " goes on" }

// tellGoesOn says what becomes of a job that nobody waits for any more.
func (a *app) tellGoesOn(g *leftOn) error {
	id := g.job.ID
	a.warn("interrupted: job %s goes on at the server: dray jobs watch %s shows it, dray jobs cancel %s stops it", id, id, id)
	if a.format == formatJSON {
		if err := a.printJobID(g.job); err != nil {
			return err
		}
	}
	return ended(exitInterrupted)
}

// away is how long a server that was reached may be gone while a job is waited for: long enough for
// one that is restarted.
const away = 5 * time.Minute

// follow tells s how far the job is, and calls news when more of its report may be there, until
// the job has ended. A server that is away is waited for, and asked again.
func (t *there) follow(ctx context.Context, s *story, news func() error) error {
	after, heard, gone := int64(0), time.Now(), false
	for {
		for e, err := range t.client.Watch(ctx, t.job.ID, after) {
			switch {
			case ctx.Err() != nil:
				return &leftOn{t.job}
			case err != nil && (!fault.Is(err, fault.Unavailable) || time.Since(heard) > away):
				return reach(err)
			case err != nil && !gone:
				gone = true
				s.say("the server does not answer; job " + t.job.ID + " is asked for again for " + seconds(away))
			}
			if err != nil {
				break // out of the watch, and on to the next
			}
			heard, gone, after = time.Now(), false, max(after, e.Seq)
			if over, err := t.hear(e, s, news); over || err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return &leftOn{t.job}
		}
	}
}

// hear takes one event in.
func (t *there) hear(e wire.Event, s *story, news func() error) (over bool, err error) {
	bad := func(err error) (bool, error) {
		return true, &fault.Fault{Kind: fault.Internal, Op: "read event of job", Name: t.job.ID, Err: err}
	}
	switch e.Kind {
	case "state", "ended":
		if err := json.Unmarshal(e.Data, &t.job); err != nil {
			return bad(err)
		}
		s.waits(t.job.State == wire.Queued || t.job.State == wire.Waiting)
		if e.Kind == "state" || news == nil {
			return e.Kind == "ended", nil
		}
		return true, news()
	case "progress":
		var p wire.Progress
		if err := json.Unmarshal(e.Data, &p); err != nil {
			return bad(err)
		}
		s.progress(p)
		if news != nil {
			return false, news()
		}
	case "log":
	default:
		var said wire.Told
		if err := json.Unmarshal(e.Data, &said); err != nil || said.Kind == "" {
			return false, nil // too large to be told, or of a newer server
		}
		s.tell(said.Event())
	}
	return false, nil
}

// failureOf is why a job did not do all; nil for one that did.
func failureOf(j wire.Job) error {
	f := j.Failure
	switch {
	case f == nil && j.State == wire.Done:
		return nil
	case f == nil:
		return &fault.Fault{Kind: fault.Internal, Op: "job " + j.ID, Err: errors.New("it is " + string(j.State) + ", and says not why")}
	case j.State == wire.Canceled:
		return &fault.Fault{Kind: fault.Canceled, Op: "job", Name: j.ID, Err: errors.New("it was canceled")}
	}
	kind := f.Kind
	if kind == "" {
		kind = fault.Internal // several
	}
	err := (&plan.Problem{Kind: kind, Side: sideOf(f.Text), Message: f.Text, Hint: f.Hint}).Err()
	return elsewhere(err)
}

// sideOf is the end that an error begins with.
func sideOf(text string) fault.Side {
	for _, side := range []fault.Side{fault.Source, fault.Target} {
		if strings.HasPrefix(text, string(side)+": ") {
			return side
		}
	}
	return ""
}

// elsewhere is err with a next step that helps where a server did the work: it knows no login of
// this machine's.
func elsewhere(err error) error {
	if !strings.HasPrefix(fault.HintOf(err), "sign in with: dray login ") {
		return err
	}
	return withHint(err, "give the login along, or keep it at the server: dray serve secret put NAME "+strings.TrimPrefix(fault.HintOf(err), "sign in with: dray login "))
}

// report reads what the job says it did; false where it has none.
func (t *there) report(ctx context.Context, into any) (bool, error) {
	raw, err := t.client.Report(ctx, t.job.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, &fault.Fault{Kind: fault.Internal, Op: "read report of job", Name: t.job.ID, Err: err}
	}
	return true, nil
}

func (t *there) write(ctx context.Context, w writing, s *story) (*plan.Plan, dray.Report, error) {
	if err := t.follow(ctx, s, nil); err != nil {
		return nil, dray.Report{}, err
	}
	var r struct {
		dray.Report
		LeftOut int `json:"stepsLeftOut"`
	}
	there, err := t.report(ctx, &r)
	if err == nil && !there {
		err = failureOf(t.job)
	}
	if err == nil && r.LeftOut > 0 {
		r.Steps = nil
		err = t.client.Items(ctx, t.job.ID, func(it wire.Item) error {
			var step dray.StepReport
			err := json.Unmarshal(it.Data, &step)
			r.Steps = append(r.Steps, step)
			return err
		})
	}
	if err != nil {
		return nil, dray.Report{}, err
	}
	p := &plan.Plan{Verb: r.Verb, Hold: w.hold, Notes: r.Notes}
	for i, step := range r.Steps {
		p.Steps = append(p.Steps, step.Step)
		if step.Err != nil {
			r.Steps[i].Err = elsewhere(step.Err)
		}
	}
	r.Notes = append(r.Notes, w.notes(p.Steps)...)
	for _, n := range r.Notes {
		s.note(n)
	}
	if err := r.Err(); err != nil && t.job.State != wire.Canceled {
		return p, r.Report, err
	}
	return p, r.Report, failureOf(t.job)
}

func (t *there) plan(ctx context.Context, w writing, s *story) (plan.Plan, error) {
	if err := t.follow(ctx, s, nil); err != nil {
		return plan.Plan{}, err
	}
	var head plan.Plan
	sum, err := t.planReport(ctx)
	if err != nil {
		return head, err
	}
	head = sum.header
	err = t.client.Items(ctx, t.job.ID, func(it wire.Item) error {
		var step plan.Step
		err := json.Unmarshal(it.Data, &step)
		head.Steps = append(head.Steps, step)
		return err
	})
	head.Notes = append(head.Notes, w.notes(head.Steps)...)
	for _, n := range head.Notes {
		s.note(n)
	}
	return head, err
}

// planReport is the report of a plan that was made, whatever it says of its steps.
func (t *there) planReport(ctx context.Context) (out struct {
	header  plan.Plan
	summary dray.TransferReport
}, err error) {
	var r wire.PlanReport[dray.TransferReport]
	made, err := t.report(ctx, &r)
	if err == nil && (!made || len(r.Header) == 0 || string(r.Header) == "null") {
		err = failureOf(t.job)
	}
	if err != nil {
		return out, err
	}
	if out.header, err = readHeader(r.Header); err != nil {
		return out, err
	}
	out.summary = r.Summary
	return out, nil
}

// gathering makes repositories of the lines of a report, which come in their order.
type gathering[T any] struct {
	t     *there
	seq   int64
	to    func(T) ref.Repo
	visit func(ref.Repo, []T) error

	at    ref.Repo
	group []T
}

// more reads what came since the last time.
func (g *gathering[T]) more(ctx context.Context) error {
	return g.t.client.ItemsAfter(ctx, g.t.job.ID, g.seq, func(it wire.Item) error {
		g.seq = it.Seq
		var one T
		if err := json.Unmarshal(it.Data, &one); err != nil {
			return &fault.Fault{Kind: fault.Internal, Op: "read report of job", Name: g.t.job.ID, Err: err}
		}
		to := g.to(one)
		if to != g.at {
			if err := g.flush(); err != nil {
				return err
			}
		}
		g.at = to
		g.group = append(g.group, one)
		return nil
	})
}

func (g *gathering[T]) flush() error {
	group := g.group
	g.group = nil
	if len(group) == 0 {
		return nil
	}
	return g.visit(g.at, group)
}

// each follows the job and hands over its report, repository by repository.
func each[T any](ctx context.Context, t *there, s *story, to func(T) ref.Repo, visit func(ref.Repo, []T) error) error {
	g := &gathering[T]{t: t, to: to, visit: visit}
	err := t.follow(ctx, s, func() error { return g.more(ctx) })
	if err == nil {
		err = g.flush()
	}
	if ctx.Err() != nil {
		err = &leftOn{t.job}
	}
	return err
}

func (t *there) planEach(ctx context.Context, _ streaming, s *story, visit func(dray.RepositoryPlan) error) (dray.TransferReport, error) {
	err := each(ctx, t, s, func(s plan.Step) ref.Repo { return s.To.Repo }, func(to ref.Repo, steps []plan.Step) error {
		return visit(dray.RepositoryPlan{To: to, Steps: steps})
	})
	if err != nil {
		return dray.TransferReport{}, err
	}
	sum, err := t.planReport(ctx)
	return sum.summary, err
}

func (t *there) runEach(ctx context.Context, _ streaming, s *story, visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
	failed := false
	err := each(ctx, t, s, func(s dray.StepReport) ref.Repo { return s.To.Repo }, func(to ref.Repo, steps []dray.StepReport) error {
		for i, s := range steps {
			if s.Err != nil {
				failed, steps[i].Err = true, elsewhere(s.Err)
			}
		}
		return visit(dray.RepositoryReport{To: to, Steps: steps})
	})
	var sum dray.TransferReport
	if err != nil {
		return sum, err
	}
	made, err := t.report(ctx, &sum)
	if err == nil && (!made || !failed && sum.InUse == nil || t.job.State == wire.Canceled) {
		err = failureOf(t.job)
	}
	return sum, err
}

func (t *there) verify(ctx context.Context, _ verifying, s *story, visit func(dray.VerifyEntry) error) (dray.Receipt, error) {
	err := each(ctx, t, s, func(e dray.VerifyEntry) ref.Repo { return e.To.Repo }, func(_ ref.Repo, entries []dray.VerifyEntry) error {
		for _, e := range entries {
			if err := visit(e); err != nil {
				return err
			}
		}
		return nil
	})
	var r dray.Receipt
	if err != nil {
		return r, err
	}
	made, err := t.report(ctx, &r)
	if err == nil && (!made || t.job.State == wire.Canceled || r.Matches[dray.Unproven] == 0 && r.Right()) {
		err = failureOf(t.job)
	}
	return r, err
}

// printJobID is the answer of --no-wait: one line.
func (a *app) printJobID(j wire.Job) error {
	j.Request = nil
	return a.print(answer{
		json:   func() error { return a.printJSON(j) },
		text:   func() error { _, err := fmt.Fprintln(a.out, j.ID); return err },
		header: []string{"ID", "STATE"},
		rows:   func(row func(...string) error) error { return row(j.ID, string(j.State)) },
	})
}

// readHeader reads the first line of a plan's file.
func readHeader(line []byte) (plan.Plan, error) {
	in, err := plan.NewReader(bytes.NewReader(append(bytes.Clone(line), '\n')))
	if err != nil {
		return plan.Plan{}, err
	}
	return in.Header(), nil
}
