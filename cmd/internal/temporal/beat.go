package temporal

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

// beatInterval is the time between two signs of life. Their answers say that a cancel was requested, which
// must be known within a second.
const beatInterval = 400 * time.Millisecond

// fence asks Temporal whether the attempt with the token is the present one. The error is nil if it is,
// Canceled if a cancel was requested, Moved if another attempt has the job, and Unavailable if Temporal does
// not answer.
//
// said are numbers for people who look into Temporal.
func (e *Engine) fence(ctx context.Context, token []byte, said ...any) error {
	ctx, done := context.WithTimeout(ctx, callTime)
	defer done()
	err := e.there.RecordActivityHeartbeat(ctx, token, said...)
	var canceled *temporal.CanceledError
	var gone *serviceerror.NotFound
	switch {
	case err == nil:
		return nil
	case errors.As(err, &canceled):
		return &fault.Fault{Kind: fault.Canceled, Op: "run job", Err: errors.New("a cancel was requested")}
	case errors.As(err, &gone):
		return &fault.Fault{Kind: fault.Moved, Op: "run job", Err: errors.New("this worker no longer has the job")}
	case errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
		return &fault.Fault{Kind: fault.Moved, Op: "run job", Err: errors.New("the job was paused or reset in Temporal")}
	}
	return e.explain("ask Temporal who has the job", err)
}

// beat says that the attempt of r is alive, until ctx ends. It ends the run when a cancel was requested,
// when another attempt has the job, and when Temporal has not answered for so long that it must think that
// this attempt is dead.
func (e *Engine) beat(ctx context.Context, token []byte, r *job.Run) {
	heard := time.Now()
	for t := time.NewTicker(beatInterval); ; {
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		asked := time.Now()
		call, done := context.WithDeadline(ctx, earlier(asked.Add(e.lease/3), heard.Add(e.lease)))
		err := e.fence(call, token, figuresOf(r))
		done()
		switch {
		case err == nil:
			heard = asked
		case fault.Is(err, fault.Canceled):
			heard = asked
			r.AskCancel()
		case fault.Is(err, fault.Moved), time.Since(heard) >= e.lease:
			t.Stop()
			r.Lose()
			return
		}
	}
}

// figuresOf returns the progress of an attempt, without names, for the page of Temporal.
func figuresOf(r *job.Run) map[string]int64 {
	p := r.Latest()
	return map[string]int64{
		"steps": int64(p.Steps), "finished": int64(p.Finished), "failed": int64(p.Failed),
		"doneBytes": p.Done, "totalBytes": p.Total,
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
