package run

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
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

// maxGathered is how many items of a repository are in memory. A server reports large repositories in parts of so many
// items or more, and those of other repositories may come in between. Only the last part of a repository has fewer.
const maxGathered = 1000

// gathering collects the items of a report by repository.
type gathering[T any] struct {
	t     *There
	seq   int64
	to    func(T) ref.Repo
	visit func(at gathered, items []T) error

	at    ref.Repo
	group []T
	run   int              // how many items of the repository follow each other so far
	parts map[ref.Repo]int // of the repositories that may have more items, how many parts were visited
}

// gathered says which items of a repository were collected.
type gathered struct {
	to   ref.Repo
	part int  // its number, from 1, if there are several; else 0
	more bool // another one may follow
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
		if to != g.at || len(g.group) == maxGathered {
			if err := g.flush(g.run >= maxGathered); err != nil {
				return err
			}
		}
		if to != g.at {
			g.run = 0
		}
		g.run++
		g.at = to
		g.group = append(g.group, one)
		return nil
	})
}

// flush passes on what was collected. more says that there may be more items of the same repository.
func (g *gathering[T]) flush(more bool) error {
	group := g.group
	g.group = nil
	if len(group) == 0 {
		return nil
	}
	at := gathered{to: g.at, more: more}
	if n := g.parts[g.at]; more || n > 0 {
		at.part = n + 1
	}
	if more {
		if g.parts == nil {
			g.parts = map[ref.Repo]int{}
		}
		g.parts[g.at] = at.part
	} else {
		delete(g.parts, g.at)
	}
	return g.visit(at, group)
}

// end passes on the last items, and says of the repositories that had parts that there are no more.
func (g *gathering[T]) end() error {
	if err := g.flush(false); err != nil {
		return err
	}
	for _, to := range slices.SortedFunc(maps.Keys(g.parts), compareRepos) {
		if err := g.visit(gathered{to: to, part: g.parts[to] + 1}, nil); err != nil {
			return err
		}
	}
	return nil
}

func compareRepos(a, b ref.Repo) int { return a.Tagged("").Compare(b.Tagged("")) }

// each follows the job and calls visit with its report, repository by repository.
func each[T any](
	ctx context.Context, t *There, s *out.Story, to func(T) ref.Repo, visit func(gathered, []T) error,
) error {
	g := &gathering[T]{t: t, to: to, visit: visit}
	err := t.follow(ctx, s, func() error { return g.more(ctx) })
	if err == nil {
		err = g.end()
	}
	if ctx.Err() != nil {
		err = &leftOn{t.Job, t.gone}
	}
	return err
}
