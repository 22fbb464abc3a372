package suite

import (
	"context"
	"database/sql"
	"encoding/json"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
)

// Divide makes an engine for tests that divides jobs, for Config.Engine. It runs the parts of a job
// concurrently, in one process. It is neither fair nor quick.
func Divide(q *job.Queue) (job.Engine, error) {
	return &divider{q: q, kick: make(chan struct{}, 1), begun: map[string]bool{}}, nil
}

type divider struct {
	q     *job.Queue
	kick  chan struct{}
	slots chan struct{}
	going sync.WaitGroup

	mu    sync.Mutex
	begun map[string]bool // the jobs that are carried out
}

func (d *divider) Order(ctx context.Context, tx *sql.Tx, o job.Order) error {
	return d.q.PutOrder(ctx, tx, o)
}

func (d *divider) Kick() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *divider) Ready(context.Context) error { return nil }

func (d *divider) Close() error { return nil }

func (d *divider) Work(ctx context.Context, slots int, run job.Runner) error {
	d.slots = make(chan struct{}, max(slots, 1))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	if slots > 0 {
		d.again(ctx, run)
	}
	for slots > 0 && ctx.Err() == nil {
		d.orders(ctx, run)
		d.schedules(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-d.kick:
		}
	}
	<-ctx.Done()
	d.going.Wait()
	return nil
}

func (d *divider) orders(ctx context.Context, run job.Runner) {
	orders, err := d.q.Orders(ctx, 1000)
	if err != nil {
		return
	}
	for _, o := range orders {
		if o.Kind == job.OrderStart && d.begin(o.ID) {
			d.going.Go(func() { d.carry(ctx, o.ID, run) })
		}
		if d.q.Carried(ctx, o.Seq) != nil {
			return
		}
	}
}

// again carries out the jobs that an earlier Work left.
func (d *divider) again(ctx context.Context, run job.Runner) {
	jobs, _, err := d.q.List(ctx, job.Filter{States: []job.State{job.Queued, job.Waiting}, Limit: 500})
	if err != nil {
		return
	}
	for _, j := range jobs {
		d.mu.Lock()
		delete(d.begun, j.ID)
		d.mu.Unlock()
		if d.begin(j.ID) {
			d.going.Go(func() { d.carry(ctx, j.ID, run) })
		}
	}
}

func (d *divider) begin(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	fresh := !d.begun[id]
	d.begun[id] = true
	return fresh
}

func (d *divider) schedules(ctx context.Context) {
	all, err := d.q.Schedules(ctx, "")
	if err != nil {
		return
	}
	for _, s := range all {
		if !s.Paused && !s.NextDue.After(time.Now()) {
			_, _, _ = d.q.Fire(ctx, s.ID, s.NextDue) // the next tick tries again
		}
	}
}

// carry carries out one job until it has ended, or until ctx ends.
func (d *divider) carry(ctx context.Context, id string, run job.Runner) {
	for ctx.Err() == nil {
		out, gone := d.attempt(ctx, job.Claim{ID: id}, func(ctx context.Context, r *job.Run) job.Outcome {
			n := 0
			whole, out := run.Split(ctx, r, func(part json.RawMessage) error {
				n++
				return d.q.PutParts(ctx, r, n, []json.RawMessage{part})
			})
			switch {
			case out.State != "":
				return out
			case whole:
				return run.Run(ctx, r)
			}
			return job.Outcome{State: job.Running}
		})
		if out.State == job.Running {
			out, gone = d.divided(ctx, id, run)
		}
		if gone || out.State.Ended() {
			return
		}
		d.wait(ctx, out.After)
	}
}

// divided carries out the parts of a job, and adds up their outcomes.
func (d *divider) divided(ctx context.Context, id string, run job.Runner) (out job.Outcome, gone bool) {
	open, err := d.q.OpenParts(context.WithoutCancel(ctx), id, 0, 1<<20)
	if err != nil {
		return job.Outcome{}, false
	}
	var parts sync.WaitGroup
	next := make(chan int)
	for range cap(d.slots) {
		parts.Go(func() {
			for n := range next {
				d.part(ctx, id, n, run)
			}
		})
	}
	for _, n := range open {
		next <- n
	}
	close(next)
	parts.Wait()
	return d.attempt(ctx, job.Claim{ID: id, Resume: true}, func(ctx context.Context, r *job.Run) job.Outcome {
		return run.Sum(ctx, r, d.q.Outcomes(ctx, id))
	})
}

func (d *divider) part(ctx context.Context, id string, n int, run job.Runner) {
	for ctx.Err() == nil {
		out, gone := d.attempt(ctx, job.Claim{ID: id, Part: n}, func(ctx context.Context, r *job.Run) job.Outcome {
			part, err := d.q.Part(ctx, id, n)
			if err != nil {
				return job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
			}
			return run.Part(ctx, r, part)
		})
		if gone || out.State.Ended() {
			return
		}
		d.wait(ctx, out.After)
	}
}

// attempt carries out one attempt. gone is true if there is nothing more to do.
func (d *divider) attempt(
	ctx context.Context, c job.Claim, f func(context.Context, *job.Run) job.Outcome,
) (out job.Outcome, gone bool) {
	ctx = context.WithoutCancel(ctx)
	d.slots <- struct{}{}
	defer func() { <-d.slots }()
	r, err := d.q.Begin(ctx, c)
	if err != nil || r == nil {
		return job.Outcome{}, err == nil
	}
	return d.q.Carry(ctx, r, f), false
}

func (d *divider) wait(ctx context.Context, after time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(max(after, 10*time.Millisecond)):
	}
}
