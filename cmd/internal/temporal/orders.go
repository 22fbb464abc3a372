package temporal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

const (
	orderInterval = time.Second // a process that was killed may have committed orders and carried none out
	ordersAtOnce  = 256
	carriers      = 16 // orders that are carried out at the same time
)

// carrying carries orders out, until ctx ends: soon after Kick, and every second what other processes left.
func (e *Engine) carrying(ctx context.Context) {
	t := time.NewTicker(orderInterval)
	defer t.Stop()
	failing, level := false, slog.LevelWarn
	for ctx.Err() == nil {
		err := e.carryAll(ctx)
		switch {
		case err != nil && !failing && ctx.Err() == nil:
			level = slog.LevelWarn
			if fault.Is(err, fault.Unavailable) {
				level = slog.LevelInfo // the process says once that its database or Temporal does not answer
			}
			e.log.Log(ctx, level, "orders cannot be carried out yet", "err", err)
		case err == nil && failing:
			e.log.Log(ctx, level, "orders are carried out again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-e.kick:
		case <-t.C:
		}
	}
}

// carryAll carries out all orders that are stored.
func (e *Engine) carryAll(ctx context.Context) error {
	for {
		page, err := e.orders(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		done, err := e.carryPage(ctx, page)
		if e := e.carried(ctx, done); e != nil || err != nil || len(page) < ordersAtOnce {
			return errors.Join(err, e)
		}
	}
}

func (e *Engine) orders(ctx context.Context) ([]job.Order, error) {
	ctx, done := context.WithTimeout(ctx, callTime)
	defer done()
	return e.q.Orders(ctx, ordersAtOnce)
}

func (e *Engine) carried(ctx context.Context, seq []int64) error {
	ctx, done := context.WithTimeout(ctx, callTime)
	defer done()
	return e.q.Carried(ctx, seq...)
}

// carryPage carries out orders, a few at the same time, those of one job or schedule one after the other. It
// returns the numbers of those that were carried out.
func (e *Engine) carryPage(ctx context.Context, page []job.Order) (done []int64, err error) {
	var lanes [carriers][]job.Order
	for _, o := range page {
		h := fnv.New32a()
		_, _ = h.Write([]byte(o.ID))
		lanes[h.Sum32()%carriers] = append(lanes[h.Sum32()%carriers], o)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, lane := range lanes {
		wg.Go(func() {
			stuck := map[string]bool{}
			for _, o := range lane {
				if stuck[o.ID] {
					continue
				}
				failed := e.carryOut(ctx, o)
				stuck[o.ID] = failed != nil
				mu.Lock()
				if err = errors.Join(err, failed); failed == nil {
					done = append(done, o.Seq)
				}
				mu.Unlock()
				if fault.Is(failed, fault.Unavailable) {
					return // the rest would wait for the same
				}
			}
		})
	}
	wg.Wait()
	return done, err
}

// carryOut carries out one order. It may be carried out before, or by another process at the same time.
func (e *Engine) carryOut(ctx context.Context, o job.Order) error {
	ctx, done := context.WithTimeout(ctx, 4*callTime)
	defer done()
	switch o.Kind {
	case job.OrderStart:
		return e.start(ctx, o.ID, enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
	case job.OrderCancel:
		return e.cancel(ctx, o.ID)
	case job.OrderSchedule:
		return e.keep(ctx, o.ID)
	}
	e.log.Error("an order of an unknown kind is dropped", "kind", o.Kind, "id", o.ID)
	return nil
}

// start starts the workflow of a job, unless the job has ended or its workflow exists.
func (e *Engine) start(ctx context.Context, id string, reuse enums.WorkflowIdReusePolicy) error {
	j, err := e.q.Get(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && j.State.Ended() {
		return nil
	}
	if err != nil {
		return err
	}
	fair := fairness(j.Principal)
	_, err = e.there.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: e.queueOf(""), WorkflowIDReusePolicy: reuse, WorkflowExecutionErrorWhenAlreadyStarted: true,
		Priority: temporal.Priority{FairnessKey: fair},
	}, jobWorkflow, plan{Queue: e.queueOf(j.Pool), Fair: fair, Lease: e.lease, Range: e.perRange})
	if _, exists := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); exists {
		return nil
	}
	return e.explain("start job in Temporal", err)
}

// cancel cancels the workflow of a job, if it runs.
func (e *Engine) cancel(ctx context.Context, id string) error {
	err := e.there.CancelWorkflow(ctx, id, "")
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return nil
	}
	return e.explain("cancel job in Temporal", err)
}

// fairness returns the fairness key of a principal. It does not show the name.
func fairness(principal string) string {
	sum := sha256.Sum256([]byte("dray/fairness/" + principal))
	return hex.EncodeToString(sum[:8])
}
