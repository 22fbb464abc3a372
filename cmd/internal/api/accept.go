package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
)

// Submitting is what all requests that make a job have in common.
type Submitting struct {
	Key    string `header:"Idempotency-Key" maxLength:"255" doc:"the same key within a day is the same job"`
	Prefer string `header:"Prefer" maxLength:"255" doc:"wait=N holds the answer until the job ends, up to N seconds, 60 at most (RFC 7240)"`
}

// accepted is the answer: 202, or 200 when the job ended while the answer was held.
type accepted struct {
	Status   int
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true where the key stood for this job already"`
	Applied  string `header:"Preference-Applied"`
	Retry    string `header:"Retry-After" doc:"when to look again"`
	Body     wire.Job
}

func (a *api) submit(ctx context.Context, s Submitting, r wire.Request) (*accepted, error) {
	wait, err := waitOf(s.Prefer)
	if err != nil {
		return nil, err
	}
	j, fresh, err := a.Verb.Submit(ctx, caller(ctx), r, s.Key)
	return a.accept(ctx, j, fresh, wait, err)
}

// accept answers for a job that was made, and holds the answer where that was asked for.
func (a *api) accept(ctx context.Context, j wire.Job, fresh bool, wait time.Duration, err error) (*accepted, error) {
	if err != nil {
		return nil, err
	}
	out := &accepted{Status: http.StatusAccepted, Location: wire.Prefix + "/jobs/" + j.ID, Retry: "1"}
	if !fresh {
		out.Replayed = "true"
	}
	// A preference may be left out: who has too many answers held gets this one at once.
	if leave, ok := a.Held.Take(caller(ctx)); !ok {
		wait = 0
	} else {
		defer leave()
	}
	if wait > 0 {
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

// await returns j when it has ended, or as it is after wait.
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
		return j // it is durable, whatever the database says now
	}
	return now
}

// waitOf reads Prefer, RFC 7240 §2 and §4.3. Preferences that are not known are left out, as it asks.
func waitOf(prefer string) (time.Duration, error) {
	for part := range strings.FieldsFuncSeq(prefer, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			continue // "the preference is ignored"
		}
		return min(time.Duration(n)*time.Second, wire.MaxWait), nil
	}
	return 0, nil
}
