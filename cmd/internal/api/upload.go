package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	fileTime = 10 * time.Minute // to read an uploaded plan
	restTime = 5 * time.Second  // to read what follows the line with which a plan is refused
)

// upload stores an uploaded plan while it arrives.
func (a *api) upload(ctx context.Context, in *Submitting) (*accepted, error) {
	wait, err := waitOf(in.Prefer)
	if err != nil {
		return nil, err
	}
	j, fresh, err := a.receive(ctx, in.Key)
	return a.accept(ctx, j, fresh, wait, err)
}

func (a *api) receive(ctx context.Context, key string) (job.Job, bool, error) {
	c, _ := ctx.Value(callerKey{}).(callInfo)
	leave, ok := a.Uploads.Take(c.principal)
	if !ok {
		return job.Job{}, false, &fault.Fault{Kind: fault.Throttled, Op: "upload plan", RetryAfter: 5 * time.Second,
			Err:  errors.New("this principal uploads too many plans at the same time"),
			Hint: "upload them one after the other"}
	}
	defer leave()
	hold := a.Memory.Begin(c.principal.Name)
	defer hold.Release()
	defer func() { _ = c.conn.SetReadDeadline(time.Time{}) }() // else it would cut an answer that is held
	_ = c.conn.SetReadDeadline(time.Now().Add(fileTime))       // an error means that the writer has no deadlines
	file := http.MaxBytesReader(nil, io.NopCloser(c.body), wire.MaxPlan)
	j, fresh, err := a.verb(ctx).Upload(ctx, c.principal, verb.Upload{File: file, Key: key, Hold: hold})
	if err != nil {
		// A client that still sends would only see that the connection was closed, and not the answer.
		_ = c.conn.SetReadDeadline(time.Now().Add(restTime))
		_, _ = io.Copy(io.Discard, file)
		return j, fresh, uploadProblem(err)
	}
	return j, fresh, nil
}

// uploadProblem returns the answer to an upload that failed with err.
func uploadProblem(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &fault.Fault{Kind: fault.TooLarge, Op: "upload plan",
			Err:  fmt.Errorf("the file is larger than %d MiB", wire.MaxPlan>>20),
			Hint: "plan fewer repositories at once"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		p := problemOf(&fault.Fault{Kind: fault.Unavailable, Op: "upload plan",
			Err: errors.New("the file did not arrive in time"), Hint: "send it again"})
		p.Status, p.Title = http.StatusRequestTimeout, http.StatusText(http.StatusRequestTimeout)
		return p
	case fault.Is(err, fault.Invalid):
		p := problemOf(err)
		p.Status, p.Title = http.StatusBadRequest, http.StatusText(http.StatusBadRequest)
		return p
	}
	return err
}
