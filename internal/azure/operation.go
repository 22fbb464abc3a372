package azure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

const (
	// The time that an import may take: some imports stay in "Running" for ever (Azure/acr#537, #549).
	leastTime = 30 * time.Minute
	leastRate = 4 << 20 // bytes per second beyond leastTime

	firstPoll = time.Second // the first poll, if Azure does not say when; half as much later after each poll
	lastPoll  = 15 * time.Second

	tellFirst = time.Minute // how long an import has taken before an event says so
	tellAgain = 5 * time.Minute
)

// allowed returns how long an import of size bytes may take.
func allowed(size int64) time.Duration { return leastTime + time.Duration(size/leastRate)*time.Second }

// errSlow is the cause of an import that takes too long.
var errSlow = errors.New("azure has not ended the import")

// follow waits for the end of the operation at an URL: RFC 9110 §15.3.3 with the headers of the ARM RPC, "Asynchronous
// Operations". Azure's container registries answer 202 with a new Location until 200, and 4xx for a failure; others
// answer 200 with the state in the body.
func (x *exchange) follow(ctx context.Context, op, at string, first answer, size int64) error {
	began, pause := time.Now(), firstPoll
	wait, told := first.retryAfter(pause), began.Add(tellFirst-tellAgain)
	for {
		if left := allowed(size) - time.Since(began); wait > left {
			wait = left
		}
		if time.Since(told) >= tellAgain {
			told = time.Now()
			x.watch.Events.Tell(event.Event{Kind: event.Waiting, Host: x.manager.Host, Wait: tellAgain, Count: 1,
				Text: "Azure imports an image into " + x.host + " since " + began.UTC().Format("15:04 UTC")})
		}
		if sleep(ctx, wait) != nil {
			return &fault.Fault{Kind: fault.Canceled, Op: op, Name: x.host, Err: context.Cause(ctx)}
		}
		a, err := x.send(ctx, call{op: op, method: http.MethodGet, url: at, id: newID(), lasting: true})
		if err != nil {
			return err
		}
		switch state := a.problem().ended(); {
		case a.status == http.StatusAccepted, a.status == http.StatusOK && !final(state):
			at = cmp.Or(a.header.Get("Location"), at)
		case a.status < 300 && (state == "" || state == "Succeeded"):
			return nil
		default:
			return a.failed(op, x.host)
		}
		if time.Since(began) >= allowed(size) {
			return &fault.Fault{Kind: fault.Unavailable, Side: fault.Target, Op: op, Name: x.host,
				Err:  fmt.Errorf("%w after %s", errSlow, allowed(size)),
				Hint: "run the same command again: dray then looks whether the import has ended"}
		}
		pause = min(pause*3/2, lastPoll)
		wait = max(a.retryAfter(pause), leastPause)
	}
}

// final reports whether an operation with this state has ended.
func final(state string) bool {
	return state == "" || state == "Succeeded" || state == "Failed" || state == "Canceled"
}
