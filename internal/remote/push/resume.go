package push

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

const (
	// drained is how long after its last mark a process that was killed may still
	// have bytes on their way to the registry: 1 min.
	drained = time.Minute
	// settling is the time between two looks at such an upload.
	settling = 100 * time.Millisecond
)

// claim takes the record of this upload. Without one, because another process
// has it or the disk does not work, the upload goes on unrecorded.
func (u *upload) claim() {
	if u.d.Size < worthKeeping {
		return
	}
	lease, err := u.r.dock.uploads.Claim(ledger.Key{Repo: u.r.Repo, Digest: u.d.Digest}, u.d.Size)
	u.r.recorded(err)
	if lease != nil {
		if u.lease, u.past = lease, lease.Left(); u.past != nil {
			u.r.known.tended()
		}
		u.feed.Keep = func(m oci.Mark) { u.r.recorded(lease.Mark(m)) }
	}
}

// again goes on with the session that an earlier process left, where the
// registry still has it. Else it is given up for a new one, and it is told what
// that costs; or it was closed since, and the blob is there.
func (u *upload) again(ctx context.Context) (there bool, _ error) {
	if u.past == nil && u.at == nil {
		return false, nil
	}
	left, fresh := u.past, u.at // fresh is what a refused mount opened
	if left != nil {
		why := u.reopen(ctx, left)
		if ctx.Err() != nil {
			u.at = fresh
			return false, u.call.Stopped(ctx, context.Cause(ctx))
		}
		u.past = nil
		if why == "" {
			u.cancel(ctx, fresh)
			return false, nil
		}
		if left.Sent() > 0 {
			if u.landed(ctx) {
				u.at = fresh
				return true, nil
			}
			u.r.Observe.Tell(event.Event{Kind: event.Noted, Host: u.r.Host.Name, Name: u.call.Name,
				Text: fmt.Sprintf("%s: %d MiB are sent again: %s", u.call.Name, left.Sent()>>20, why)})
		}
	}
	if u.at = fresh; fresh != nil {
		u.r.recorded(u.lease.Begin(fresh.String()))
	}
	return false, nil
}

// reopen takes left for this upload's session; why it can not, if it can not.
// The address is held to the rules of every Location: it is followed with the
// login only where it is the registry's own.
func (u *upload) reopen(ctx context.Context, left *ledger.Left) (why string) {
	origin, err := u.r.Host.Origin(ctx)
	if err != nil {
		return "the registry can not be asked for the upload"
	}
	if u.at, err = u.r.Host.Located(origin, origin, left.Session); err != nil {
		return "the upload's address is not the registry's any more"
	}
	if !u.resumes() {
		u.abandon(ctx)
		return "the registry keeps no cut uploads"
	}
	got, err := u.settled(ctx, left)
	switch {
	case fault.Is(err, fault.NotFound):
		return "the registry did not keep the cut upload"
	case err != nil:
		u.abandon(ctx)
		return "the registry can not go on with the cut upload"
	case got <= 1:
		u.abandon(ctx)
		return "the registry kept nothing of the cut upload"
	case got > u.d.Size || got >= left.Reach():
		u.abandon(ctx)
		return fmt.Sprintf("the registry says that it kept %d bytes, which were never sent", got)
	}
	u.feed.Recall(left.Marks)
	u.feed.Max = got
	u.advance(got)
	return ""
}

// settled asks for the status until it stays the same. The kernel sends on what
// a killed process gave it, and two writers in one session would be in each other's way.
func (u *upload) settled(ctx context.Context, left *ledger.Left) (int64, error) {
	got, err := u.status(ctx)
	for looks := 0; err == nil && time.Since(left.At) < drained; looks++ {
		if err := limit.Sleep(ctx, settling); err != nil {
			return 0, err
		}
		was := got
		// Some show nothing of a request before it has ended: they get three seconds.
		if got, err = u.status(ctx); got == was && (got > 1 || left.Sent() == 0 || looks == 30) {
			break
		}
	}
	return got, err
}

// end closes what the upload has open. A session that the next process can go
// on with stays, and its record; any other is canceled.
func (u *upload) end(ctx context.Context, err error) {
	stays := fault.Is(err, fault.Canceled) || fault.Is(err, fault.Denied) || ask.Passing(err)
	if u.lease != nil && stays && u.resumes() && (u.past != nil || u.feed.Max > 0) {
		if u.past != nil {
			u.abandon(ctx) // it is not the recorded one
		}
		u.lease.Release()
		return
	}
	u.abandon(ctx)
	if u.past != nil {
		if origin, err := u.r.Host.Origin(ctx); err == nil {
			u.at, _ = u.r.Host.Located(origin, origin, u.past.Session)
			u.abandon(ctx)
		}
	}
	u.lease.Forget()
}
