package push

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/feed"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// upload brings one blob into a repository by sending it (distribution-spec
// v1.1.1 §Pushing a blob in chunks, §POST then PUT). Whole blobs go in one PUT;
// pieces are for registries that need them and for what a cut request left over.
type upload struct {
	r      *Pusher
	call   *wire.Call
	d      oci.Descriptor
	feed   *feed.Feed
	budget *ask.Budget
	lease  *ledger.Upload // what the next process would need to go on; nil keeps nothing
	past   *ledger.Left   // what an earlier process left, until it is used or given up

	at      *url.URL // the session; nil when none is open
	done    int64    // bytes that the registry has
	best    int64    // the most that it ever had, for the budget
	twice   bool     // the registry found the digest wrong once
	logins  int      // 401s in the middle
	noPatch bool     // PATCH was refused
	misfit  int64    // where a piece was answered 416
	misfits int      // how often, there
}

// abandon ends the session, if one is open, as far as the registry lets us. It
// is no part of the outcome, so it is short and outlives ctx.
func (u *upload) abandon(ctx context.Context) {
	u.cancel(ctx, u.at)
	u.at = nil
}

// cancel ends the session at an address; nil is none.
func (u *upload) cancel(ctx context.Context, at *url.URL) {
	if at == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	c := *u.call
	c.Method, c.URL, c.Access, c.Single = http.MethodDelete, at, u.r.Access, true
	_, _ = u.r.Host.Do(ctx, &c, http.StatusNoContent)
}

// hold takes the session that an answer opened or moved.
func (u *upload) hold(ctx context.Context, a *wire.Answer) error {
	origin, err := u.r.Host.Origin(ctx)
	if err != nil {
		return err
	}
	var at *url.URL
	if at, err = u.r.Host.Located(origin, a.Asked, a.Header.Get("Location")); err != nil {
		return u.call.Named(err)
	}
	if u.at != nil && *u.at != *at {
		u.r.recorded(u.lease.Move(at.String()))
	}
	u.at = at
	return nil
}

// landed asks for the blob where all of it may have been sent: perhaps only the answer
// was lost, or the registry still closes what an earlier process sent.
func (u *upload) landed(ctx context.Context) bool {
	there, err := u.r.hasBlob(ctx, u.d)
	return err == nil && there
}

// resumes reports whether a session can be gone on with after a cut.
func (u *upload) resumes() bool {
	return !u.noPatch && !u.r.Host.Dialect.NoResume && !u.r.Host.Dialect.NoChunks
}

// resume asks how much the registry kept. It is false when that can not be
// used: then a new session is safer than a guess.
func (u *upload) resume(ctx context.Context) bool {
	if !u.resumes() {
		return false
	}
	got, err := u.status(ctx)
	if err != nil || got <= 1 || got > u.feed.Max {
		return false // "0-0" is said of nothing and of one byte
	}
	u.advance(got)
	return true
}

// status asks how many bytes the session has, and goes where the answer says
// (distribution-spec v1.1.1 §Pushing a blob in chunks). 0 is nothing or unknown.
func (u *upload) status(ctx context.Context) (int64, error) {
	c := *u.call
	c.Method, c.URL = http.MethodGet, u.at
	a, err := u.r.Host.Do(ctx, &c, http.StatusNoContent, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return 0, err
	}
	got, _ := parseUploadRange(a.Header.Get("Range"))
	if a.Header.Get("Location") != "" {
		err = u.hold(ctx, a)
	}
	return got, err
}

// parseUploadRange reads how many bytes an upload has from "0-99", "bytes=0-99"
// or "bytes 0-99/200".
func parseUploadRange(s string) (n int64, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) > 5 && strings.EqualFold(s[:5], "bytes") {
		s = strings.TrimLeft(s[5:], "= ")
	}
	s, _, _ = strings.Cut(s, "/")
	first, last, ok := read.ParseSpan(s)
	if !ok || first != 0 || last == 1<<63-1 {
		return 0, false
	}
	return last + 1, true
}

func (u *upload) advance(to int64) {
	u.done = to
	if u.done > u.best {
		u.best = u.done
		u.budget.Refill()
	}
}

func (u *upload) learnChunks(a *wire.Answer) {
	if n, err := strconv.ParseInt(a.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && n > 0 && n <= 1<<30 {
		u.r.taught.learnMinChunk(n)
	}
}
