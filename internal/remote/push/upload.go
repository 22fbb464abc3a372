package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/feed"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

// run uploads until the blob is committed. It takes its place before it opens the source. In the
// other order, uploads that wait for a place could hold all the reading capacity that those with a
// place need to proceed.
func (u *upload) run(ctx context.Context) error {
	up, small := u.r.Host.Up, u.d.Size < limit.SmallBody
	if err := up.Enter(ctx, small); err != nil {
		return u.call.Stopped(ctx, err)
	}
	defer up.Leave(small)
	for {
		if err := u.begin(ctx); err != nil {
			return err
		}
		err := u.send(ctx)
		if err == nil {
			return nil
		}
		committed, err := u.recover(ctx, err)
		if err != nil || committed {
			return err
		}
	}
}

// begin opens concurrently what send needs: the source, and the session if there is none. No byte
// of a request is sent before the source has answered: a registry that is both source and target
// may not serve the source while it waits for a request body.
func (u *upload) begin(ctx context.Context) error {
	if u.at == nil {
		u.done = 0
	}
	u.feed.Begin(ctx)
	opened := make(chan error, 1)
	go func() { opened <- u.feed.Ready(ctx, u.done) }()
	var err error
	if u.at == nil {
		if err = u.start(ctx); err != nil {
			u.feed.Stop() // the source is no longer needed
		}
	}
	if feedErr := <-opened; err == nil && feedErr != nil {
		u.feed.Err = feedErr
		return feedErr
	}
	return err
}

// start opens a session.
func (u *upload) start(ctx context.Context) error {
	c := *u.call
	c.Method, c.Path = http.MethodPost, u.r.Path("/blobs/uploads/")
	a, err := u.r.Host.Do(ctx, &c, http.StatusAccepted)
	if err != nil {
		return err
	}
	u.learnChunks(a)
	if err := u.hold(ctx, a); err != nil {
		return err
	}
	u.r.recorded(u.lease.Begin(u.at.String()))
	return nil
}

// send sends the bytes that the registry lacks, and closes the upload.
func (u *upload) send(ctx context.Context) error {
	size, chunk := u.d.Size, u.r.taught.chunkSize(u.chunk)
	if u.noPatch {
		chunk = 0
	}
	whole := chunk == 0 && u.done == 0
	for !whole && u.done < size {
		n := size - u.done
		if chunk > 0 {
			n = min(n, chunk)
		}
		if u.r.Host.Dialect.FullClose && u.done+n == size {
			break
		}
		if err := u.patch(ctx, n); err != nil {
			return err
		}
	}
	return u.put(ctx, size-u.done)
}

// request sends a PATCH or PUT with the next n bytes.
func (u *upload) request(ctx context.Context, method string, n int64, to *url.URL) (*wire.Answer, error) {
	c := *u.call
	c.Method, c.URL, c.Lane, c.Single = method, to, wire.Up, true
	c.Header = http.Header{"Content-Type": {"application/octet-stream"}}
	c.Size, c.Closing = n, closing(n)
	if method == http.MethodPatch {
		// ACR accepts only this form, without the unit and the total of RFC 9110.
		c.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.done, u.done+n-1))
	}
	var body *feed.Piece
	c.Body = func(request context.Context) (io.ReadCloser, error) {
		if body != nil {
			<-body.Closed // a redirect was followed; its request has ended
		}
		body = u.feed.Piece(ctx, request, u.done, u.done+n)
		return body, nil
	}
	a, err := u.r.Host.Do(ctx, &c, 200, 201, 202, 204, 400, 404, 405, 411, 413, 416, 501)
	if body != nil {
		<-body.Closed // the transport may read the body for a moment after it has given up
	}
	if u.feed.Err != nil {
		return nil, u.feed.Err
	}
	if wire.IsLate(err) {
		u.call.Late++
	}
	return a, err
}

// closing returns how much longer than usual the answer to n bytes may take after they were sent: a
// second for each 8 MiB, because registries hash and move the bytes before they answer.
func closing(n int64) time.Duration { return time.Duration(n/(8<<20)) * time.Second }

// patch sends the next n bytes as a chunk.
func (u *upload) patch(ctx context.Context, n int64) error {
	a, err := u.request(ctx, http.MethodPatch, n, u.at)
	if err != nil {
		return err
	}
	switch {
	case a.Renewed:
		return u.relogin(a)
	case a.Status >= 400:
		return u.refused(a, http.MethodPatch, n)
	}
	if a.Header.Get("Location") != "" {
		if err := u.hold(ctx, a); err != nil {
			return err
		}
	}
	end := u.done + n
	if got, ok := parseUploadRange(a.Header.Get("Range")); ok && !u.r.Host.Dialect.NoResume && got > u.done && got < end {
		end = got // the registry kept less than was sent
	}
	u.advance(end)
	return nil
}

// put sends the last n bytes with the digest, which closes the upload.
func (u *upload) put(ctx context.Context, n int64) error {
	if n == 0 && !u.feed.Proved() {
		u.feed.Begin(ctx)
		if err := u.feed.Prove(ctx); err != nil {
			u.feed.Err = err
			return err
		}
	}
	a, err := u.request(ctx, http.MethodPut, n, wire.WithQuery(u.at, "digest="+string(u.d.Digest)))
	if err != nil {
		return err
	}
	switch {
	case a.Renewed:
		return u.relogin(a)
	case a.Status >= 400:
		return u.refused(a, http.MethodPut, n)
	case a.Status == http.StatusAccepted:
		return u.call.Fault(fault.Unavailable, "", errors.New("the registry has not completed the upload"))
	}
	said := a.Header.Get("Docker-Content-Digest")
	if said != "" && read.SameAlgorithm(said, string(u.d.Digest)) && said != string(u.d.Digest) {
		u.at = nil
		err := u.call.Fault(fault.Corrupt, damageHint, fmt.Errorf("the registry stored the blob as %s", reason.Clean(said)))
		u.feed.Err = fault.On(fault.Target, err)
		return u.feed.Err
	}
	u.at = nil
	if said != string(u.d.Digest) {
		if err := u.proved(ctx, a); err != nil {
			return err
		}
	}
	u.learned()
	return nil
}

// proved looks for the blob after an answer that does not name its digest. It does so until one blob
// was found at the host.
func (u *upload) proved(ctx context.Context, a *wire.Answer) error {
	r := u.r
	there, err := r.taught.stored.holds(ctx, func(ctx context.Context) (bool, error) {
		there, err := r.shows(ctx, u.d)
		if there || err != nil {
			return there, err
		}
		if err := limit.Sleep(ctx, raceWait); err != nil {
			return false, err
		}
		return r.shows(ctx, u.d) // some storages show a new blob a little later
	})
	switch {
	case err != nil:
		return u.call.Stopped(ctx, err)
	case !there:
		u.feed.Err = fault.On(fault.Target, u.call.Fault(fault.Corrupt, damageHint,
			fmt.Errorf("the registry confirmed the upload with %d, but does not have the blob", a.Status)))
		return u.feed.Err
	}
	return nil
}

// relogin handles a 401 during the upload: it returns a temporary error, so that recover continues
// with the new token.
func (u *upload) relogin(a *wire.Answer) error {
	if u.logins++; u.logins > 8 {
		return u.r.Host.Refusal(u.call, a)
	}
	return u.call.Fault(fault.Unavailable, "", errors.New("the token expired"))
}

// recover decides how to continue after err. committed is true if the blob exists in spite of err.
// An error means that the upload has failed. Otherwise recover has prepared the next send.
func (u *upload) recover(ctx context.Context, err error) (committed bool, _ error) {
	switch {
	case u.feed.Err != nil:
		return false, u.feed.Err
	case errors.Is(err, errOtherwise):
		u.abandon(ctx)
		u.done, u.feed.Max = 0, 0
		return false, nil
	case !ask.Passing(err):
		return false, u.call.Stopped(ctx, err)
	}
	all := u.feed.Max == u.d.Size && fault.Is(err, fault.Unavailable)
	if all && u.landed(ctx) {
		u.at = nil
		return true, nil
	}
	if err := u.budget.Wait(ctx, err); err != nil {
		return false, u.call.Named(err)
	}
	if errors.Is(err, errGone) || !u.resume(ctx) {
		if all && u.landed(ctx) { // the registry may have completed it during the wait
			u.at = nil
			return true, nil
		}
		u.abandonQuietly(ctx, err)
		u.at, u.done, u.feed.Max = nil, 0, 0
	}
	return false, nil
}

// abandonQuietly cancels a session that a new one will replace, unless the registry has lost it
// already.
func (u *upload) abandonQuietly(ctx context.Context, err error) {
	if !errors.Is(err, errGone) {
		u.abandon(ctx)
	}
}
