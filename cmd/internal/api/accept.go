package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
)

// Submitting holds the headers that every request that creates a job accepts.
type Submitting struct {
	Key    string `header:"Idempotency-Key" maxLength:"255" doc:"requests with the same key within 24 hours return the same job"`
	Prefer string `header:"Prefer" maxLength:"255" doc:"wait=N holds the answer until the job has ended, for at most N seconds; the maximum is 60 (RFC 7240)"`
}

// accepted is the answer to a request that created a job: 202, or 200 if the job ended while the
// server held the answer.
type accepted struct {
	Status   int
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true if the key already belonged to this job"`
	Applied  string `header:"Preference-Applied"`
	Retry    string `header:"Retry-After" doc:"seconds to wait before the next request for the job"`
	Body     wire.Job
}

func (a *api) submit(ctx context.Context, s Submitting, r wire.Request) (*accepted, error) {
	wait, err := waitOf(s.Prefer)
	if err != nil {
		return nil, err
	}
	j, fresh, err := a.verb(ctx).Submit(ctx, caller(ctx), r, s.Key)
	return a.accept(ctx, j, fresh, wait, err)
}

// accept builds the answer for the new job j. If wait is not 0, it holds the answer until the job
// has ended, up to wait. fresh is false if the request's key already belonged to j. A non-nil err is
// returned as it is.
func (a *api) accept(ctx context.Context, j wire.Job, fresh bool, wait time.Duration, err error) (*accepted, error) {
	if err != nil {
		return nil, err
	}
	out := &accepted{Status: http.StatusAccepted, Location: wire.Prefix + "/jobs/" + j.ID, Retry: "1"}
	if !fresh {
		out.Replayed = "true"
	}
	// RFC 7240 allows a server to ignore a preference. A caller that already has too many answers
	// held gets this one at once.
	if leave, ok := a.Held.Take(caller(ctx)); !ok {
		wait = 0
	} else {
		defer leave()
	}
	if wait > 0 {
		if c, ok := ctx.Value(callerKey{}).(callInfo); ok {
			c.release() // the request is handled, and nothing of it is needed for the wait
		}
		j.Request = nil
		out.Applied = "wait=" + strconv.Itoa(int(wait.Seconds()))
		j = a.await(ctx, j, wait)
	}
	if j.State.Ended() {
		out.Retry = ""
		if wait > 0 {
			out.Status = http.StatusOK
		}
	}
	out.Body = j
	return out, nil
}

// await returns the job when it has ended, or its present state after wait.
func (a *api) await(ctx context.Context, j wire.Job, wait time.Duration) wire.Job {
	ctx, done := context.WithTimeout(ctx, wait)
	defer done()
	for e, err := range a.Queue.Watch(ctx, j.ID, 0) {
		if err != nil || e.Kind == "ended" {
			break
		}
	}
	now, err := a.Queue.Get(context.WithoutCancel(ctx), j.ID)
	if err != nil {
		return j // without its request; the job is stored: an error of the database now must not hide it
	}
	return now
}

// waitOf returns the wait that the header Prefer asks for, at most wire.MaxWait; 0 means none
// (RFC 7240 §2 and §4.3). Unknown preferences are ignored, as the RFC requires.
func waitOf(prefer string) (time.Duration, error) {
	for part := range strings.FieldsFuncSeq(prefer, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			continue // a preference that cannot be parsed is ignored too
		}
		return min(time.Duration(n)*time.Second, wire.MaxWait), nil
	}
	return 0, nil
}
