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
	// drained is how long bytes of a killed process may still be on their way to the registry after
	// its last mark: 1 min.
	drained = time.Minute
	// settling is the time between two status requests to such an upload.
	settling = 100 * time.Millisecond
)

// claim takes the record of this upload. If another process holds the record, or the disk does not
// work, the upload runs unrecorded.
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

// again resumes the session that an earlier process left, if the registry still has it. It returns
// there = true if that session was completed meanwhile, so that the blob exists. Otherwise the old
// session is replaced by a new one, and an event reports how many bytes are sent again.
func (u *upload) again(ctx context.Context) (there bool, _ error) {
	if u.past == nil && u.at == nil {
		return false, nil
	}
	left, fresh := u.past, u.at // fresh is the session that a refused mount opened
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

// reopen makes the session in left the session of this upload. If that is not possible, it returns
// the reason. The address follows the rules for every Location: the login is sent there only if it
// is at the registry's own origin.
func (u *upload) reopen(ctx context.Context, left *ledger.Left) (why string) {
	origin, err := u.r.Host.Origin(ctx)
	if err != nil {
		return "the registry cannot be asked about the interrupted upload"
	}
	if u.at, err = u.r.Host.Located(origin, origin, left.Session); err != nil {
		return "the address of the interrupted upload no longer belongs to the registry"
	}
	if !u.resumes() {
		u.abandon(ctx)
		return "the registry does not keep interrupted uploads"
	}
	got, err := u.settled(ctx, left)
	switch {
	case fault.Is(err, fault.NotFound):
		return "the registry did not keep the interrupted upload"
	case err != nil:
		u.abandon(ctx)
		return "the registry cannot resume the interrupted upload"
	case got <= 1:
		u.abandon(ctx)
		return "the registry kept no bytes of the interrupted upload"
	case got > u.d.Size || got >= left.Reach():
		u.abandon(ctx)
		return fmt.Sprintf("the registry reports %d bytes, which were never sent", got)
	}
	u.feed.Recall(left.Marks)
	u.feed.Max = got
	u.advance(got)
	return ""
}

// settled asks for the status until it no longer changes. The kernel still sends what a killed
// process had written, and two writers in one session would disturb each other.
func (u *upload) settled(ctx context.Context, left *ledger.Left) (int64, error) {
	got, err := u.status(ctx)
	for looks := 0; err == nil && time.Since(left.At) < drained; looks++ {
		if err := limit.Sleep(ctx, settling); err != nil {
			return 0, err
		}
		was := got
		// Some registries do not count a request before it has ended. They get three seconds.
		if got, err = u.status(ctx); got == was && (got > 1 || left.Sent() == 0 || looks == 30) {
			break
		}
	}
	return got, err
}

// end closes what the upload has open. A session that a later process can resume is kept, and so is
// its record. Any other session is canceled.
func (u *upload) end(ctx context.Context, err error) {
	stays := fault.Is(err, fault.Canceled) || fault.Is(err, fault.Denied) || ask.Passing(err)
	if u.lease != nil && stays && u.resumes() && (u.past != nil || u.feed.Max > 0) {
		if u.past != nil {
			u.abandon(ctx) // u.at is not the recorded session
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
