package run

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// There is a verb that a server carries out as a job. It is a Place.
type There struct {
	Client *client.Client
	reader *dray.Dray // made by names
	gone   bool       // whether the server does not answer
	Job    wire.Job
}

// names asks the server for its registries once.
func (t *There) names(ctx context.Context) (*dray.Dray, error) {
	if t.reader != nil {
		return t.reader, nil
	}
	d, err := app.OpenNames(ctx, t.Client)
	t.reader = d
	return d, err
}

func (t *There) close() {
	t.Client.Close()
	if t.reader != nil {
		t.reader.Close()
	}
}

// away is how long follow tries again to reach a server that no longer answers. It is long enough for a
// restart of the server.
const away = 5 * time.Minute

// follow reports to s how far the job is, until the job has ended. It calls news when the report may have
// grown. If the server does not answer, follow tries again for a while.
func (t *There) follow(ctx context.Context, s *out.Story, news func() error) error {
	after, heard := int64(0), time.Now()
	for {
		for e, err := range t.Client.Watch(ctx, t.Job.ID, after) {
			switch {
			case ctx.Err() != nil:
				return &leftOn{t.Job, t.gone}
			case err != nil && (!fault.Is(err, fault.Unavailable) || time.Since(heard) > away):
				return err
			case err != nil || e.Kind == client.Away:
				t.sayGone(s, heard)
			}
			if err != nil {
				break // this watch has ended; begin another one
			}
			if e.Kind == client.Away {
				continue
			}
			t.sayBack(s)
			heard, after = time.Now(), max(after, e.Seq)
			if over, err := t.hear(e, s, news); over || err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return &leftOn{t.Job, t.gone}
		}
	}
}

// sayGone says once that the server does not answer.
func (t *There) sayGone(s *out.Story, heard time.Time) {
	if !t.gone {
		s.Say("the server does not answer since " + out.Moment(heard) + "; dray tries for " + out.Seconds(away) +
			" to reach job " + t.Job.ID + " again")
	}
	t.gone = true
}

// sayBack says that the server answers again, if it did not.
func (t *There) sayBack(s *out.Story) {
	if t.gone {
		s.Say("the server answers again")
	}
	t.gone = false
}

// hear handles one event of the job.
func (t *There) hear(e wire.Event, s *out.Story, news func() error) (over bool, err error) {
	bad := func(err error) (bool, error) {
		return true, &fault.Fault{Kind: fault.Internal, Op: "read event of job", Name: t.Job.ID, Err: err}
	}
	switch e.Kind {
	case "state", "ended":
		if err := json.Unmarshal(e.Data, &t.Job); err != nil {
			return bad(err)
		}
		s.Waits(t.Job.State == wire.Queued || t.Job.State == wire.Waiting)
		if e.Kind == "state" || news == nil {
			return e.Kind == "ended", nil
		}
		return true, news()
	case "progress":
		var p wire.Progress
		if err := json.Unmarshal(e.Data, &p); err != nil {
			return bad(err)
		}
		s.Progress(p)
		if news != nil {
			return false, news()
		}
	case "log":
	case wire.BlockedEvent:
		var b wire.Blocked
		if err := json.Unmarshal(e.Data, &b); err != nil {
			return bad(err)
		}
		if b.Text != "" {
			s.Say("the job waits: " + b.Text)
		}
	default:
		var said wire.Told
		if err := json.Unmarshal(e.Data, &said); err != nil || said.Kind == "" {
			return false, nil // the event was too large to send, or is of a newer server
		}
		s.Tell(said.Event())
	}
	return false, nil
}

// FailureOf returns the error of a job that did not do everything; nil if it did.
func FailureOf(j wire.Job) error {
	f := j.Failure
	switch {
	case f == nil && j.State == wire.Done:
		return nil
	case f == nil:
		return &fault.Fault{
			Kind: fault.Internal,
			Op:   "job " + j.ID,
			Err:  errors.New("the job is " + string(j.State) + ", and the server gives no reason"),
		}
	case j.State == wire.Canceled:
		return &fault.Fault{Kind: fault.Canceled, Op: jobOp, Name: j.ID, Err: errors.New("the job was canceled")}
	}
	kind := f.Kind
	if kind == "" {
		kind = fault.Internal // there are several kinds
	}
	return (&plan.Problem{Kind: kind, Side: f.Side, Message: f.Text, Hint: f.Hint}).Err()
}

// report reads the report of the job into into. It returns false if the job has no report.
func (t *There) report(ctx context.Context, into any) (bool, error) {
	raw, err := t.Client.Report(ctx, t.Job.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, &fault.Fault{Kind: fault.Internal, Op: "read report of job", Name: t.Job.ID, Err: err}
	}
	return true, nil
}

// gathering collects the items of a report by repository. The items of a repository follow each other.
type gathering[T any] struct {
	t     *There
	seq   int64
	to    func(T) ref.Repo
	visit func(ref.Repo, []T) error

	at    ref.Repo
	group []T
}

// more reads the items since the last call.
func (g *gathering[T]) more(ctx context.Context) error {
	return g.t.Client.ItemsAfter(ctx, g.t.Job.ID, g.seq, func(it wire.Item) error {
		g.seq = it.Seq
		var one T
		if err := json.Unmarshal(it.Data, &one); err != nil {
			return &fault.Fault{Kind: fault.Internal, Op: "read report of job", Name: g.t.Job.ID, Err: err}
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

// each follows the job and calls visit with its report, repository by repository.
func each[T any](
	ctx context.Context, t *There, s *out.Story, to func(T) ref.Repo, visit func(ref.Repo, []T) error,
) error {
	g := &gathering[T]{t: t, to: to, visit: visit}
	err := t.follow(ctx, s, func() error { return g.more(ctx) })
	if err == nil {
		err = g.flush()
	}
	if ctx.Err() != nil {
		err = &leftOn{t.Job, t.gone}
	}
	return err
}
