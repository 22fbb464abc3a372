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

// upload puts one blob into a repository by sending it (distribution-spec v1.1.1 §Pushing a blob in
// chunks, §POST then PUT). It sends a whole blob in one PUT. It sends chunks if the registry needs
// them, and to send the rest of a blob after an interrupted request.
type upload struct {
	r      *Pusher
	call   *wire.Call
	d      oci.Descriptor
	feed   *feed.Feed
	budget *ask.Budget
	// lease records what a later process needs to resume the upload; nil records nothing.
	lease *ledger.Upload
	// past is what an earlier process left, until it is used or given up.
	past *ledger.Left

	at      *url.URL // the session; nil if none is open
	done    int64    // bytes that the registry has
	best    int64    // the largest done so far: a larger one refills the budget
	twice   bool     // the registry reported a wrong digest once
	logins  int      // number of 401s during the upload
	noPatch bool     // the registry refused PATCH
	chunk   int64    // bytes of one PATCH after another size was refused; 0 means that of the host
	whole   error    // what the registry answered to the whole blob; nil if it was not refused
	misfit  int64    // the offset at which a chunk was answered 416
	misfits int      // how often that happened at this offset
}

// abandon cancels the session, if one is open. The result of the upload does not depend on it, so
// it has a short timeout, and it continues after ctx ended.
func (u *upload) abandon(ctx context.Context) {
	u.cancel(ctx, u.at)
	u.at = nil
}

// cancel cancels the session at an address, unless the address is nil.
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

// hold adopts the address of the session that an answer opened or moved.
func (u *upload) hold(ctx context.Context, a *wire.Answer) error {
	origin, err := u.r.Host.Origin(ctx)
	if err != nil {
		return err
	}
	var at *url.URL
	if at, err = u.r.Host.Located(origin, a.At, a.Header.Get("Location")); err != nil {
		return u.call.Named(err)
	}
	if u.at != nil && *u.at != *at {
		u.r.recorded(u.lease.Move(at.String()))
	}
	u.at = at
	return nil
}

// landed reports whether the blob exists after all its bytes may have been sent. Perhaps only the
// answer was lost, or the registry is still completing what an earlier process sent.
func (u *upload) landed(ctx context.Context) bool {
	there, err := u.r.hasBlob(ctx, u.d)
	return err == nil && there
}

// resumes reports whether a session can be resumed after an interruption.
func (u *upload) resumes() bool {
	return !u.noPatch && !u.r.Host.Dialect.NoResume && !u.r.Host.Dialect.NoChunks
}

// resume asks how many bytes the registry kept. It returns false if the answer is of no use: then a
// new session is safer than a guess.
func (u *upload) resume(ctx context.Context) bool {
	if !u.resumes() {
		return false
	}
	got, err := u.status(ctx)
	if err != nil || got <= 1 || got > u.feed.Max {
		return false // registries answer "0-0" both for no bytes and for one byte
	}
	u.advance(got)
	return true
}

// status asks how many bytes the session has, and adopts the address in the answer
// (distribution-spec v1.1.1 §Pushing a blob in chunks). 0 means none or unknown.
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

// parseUploadRange returns the number of bytes that an upload has, from "0-99", "bytes=0-99" or
// "bytes 0-99/200".
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

// advance sets the number of bytes that the registry has. Progress refills the retry budget.
func (u *upload) advance(to int64) {
	u.done = to
	if u.done > u.best {
		u.best = u.done
		u.budget.Refill()
	}
}

// learnChunks reads the smallest chunk that the registry accepts from an answer.
func (u *upload) learnChunks(a *wire.Answer) {
	if n, err := strconv.ParseInt(a.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && n > 0 && n <= 1<<30 {
		u.r.taught.learnMinChunk(n)
	}
}
