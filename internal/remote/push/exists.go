package push

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// askAll calls ask for each of blobs, up to limit.Abreast at once. The first error cancels the
// rest.
func (r *Pusher) askAll(
	ctx context.Context, blobs []oci.Descriptor, ask func(context.Context, oci.Descriptor) error,
) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	todo := make(chan oci.Descriptor)
	for range min(len(blobs), limit.Abreast) {
		wg.Go(func() {
			for d := range todo {
				if err := ask(inner, d); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, d := range blobs {
		todo <- d
	}
	close(todo)
	wg.Wait()
	if inner.Err() == nil {
		return nil
	}
	return r.Call("look for blobs in", "", "", r.Repo.String()).Stopped(ctx, context.Cause(inner))
}

// unknown returns those of blobs of which it is not known whether they exist.
func (r *Pusher) unknown(blobs []oci.Descriptor) []oci.Descriptor {
	var list []oci.Descriptor
	for _, d := range blobs {
		if _, known := r.known.has(d.Digest); !known {
			list = append(list, d)
		}
	}
	return list
}

// hasBlob asks whether the blob exists. A blob of another size than d's counts as missing.
func (r *Pusher) hasBlob(ctx context.Context, d oci.Descriptor) (bool, error) {
	there, refused, err := r.look(ctx, d)
	if err != nil {
		return false, err
	}
	there = there && refused == nil // the upload finds out what the registry does not tell
	r.known.note(d.Digest, there)
	if there && d.Size >= worthKeeping {
		r.dock.uploads.Found(ledger.Key{Repo: r.Repo, Digest: d.Digest})
	}
	return there, nil
}

// raceWait is how long the other side of a race has to end.
const raceWait = 250 * time.Millisecond

// mounted reports whether the blob exists after a 201 to its mount. If w does not say so, one request
// looks. After one mount that was confirmed for nothing, none is believed.
func (r *Pusher) mounted(ctx context.Context, c *wire.Call, d oci.Descriptor, w *word) (bool, error) {
	there, err := w.holds(ctx, func(ctx context.Context) (bool, error) { return r.shows(ctx, d) })
	switch {
	case err != nil:
		return false, c.Stopped(ctx, err)
	case !there:
		r.taught.distrustMounts()
	}
	return there && !r.taught.liedAboutMount(), nil
}

// shows reports whether the registry has a blob that it confirmed. A registry that lets this login look
// for no blob is believed.
func (r *Pusher) shows(ctx context.Context, d oci.Descriptor) (bool, error) {
	there, refused, err := r.look(ctx, d)
	if err != nil || refused != nil {
		return err == nil, err
	}
	r.known.note(d.Digest, there)
	return there, nil
}

// look asks whether the blob exists with its size: by HEAD (distribution-spec v1.1.1 §Checking if
// content exists in the registry) and, if HEAD is refused, by a GET of one byte. That HEAD is
// refused and GET is not is remembered for the host. If the registry refuses both, refused says how.
func (r *Pusher) look(ctx context.Context, d oci.Descriptor) (there bool, refused, err error) {
	c := r.Call("look for blob", http.MethodHead, "/blobs/"+string(d.Digest), r.BlobName(d))
	if err := c.Checked(string(d.Digest)); err != nil {
		return false, nil, err
	}
	if r.taught.headless() {
		return r.lookByByte(ctx, c, d)
	}
	a, err := r.Host.Do(ctx, c, 200, 400, 401, 403, 404, 405, 501)
	switch {
	case err != nil:
		return false, nil, err
	case a.Status == http.StatusOK && (!a.IsPage() || a.Length == d.Size):
		return sized(a, a.Length, d), nil, nil
	case a.Status == http.StatusNotFound:
		return false, nil, nil
	case a.Status != http.StatusOK && !a.RefusesHead():
		return false, r.Host.Refusal(c, a), nil
	}
	there, refused, err = r.lookByByte(ctx, c, d)
	if refused == nil && err == nil {
		r.taught.learnHeadless()
	}
	return there, refused, err
}

// lookByByte asks for the first byte of a blob by GET. An empty blob has none, and is requested as a
// whole.
func (r *Pusher) lookByByte(
	ctx context.Context, head *wire.Call, d oci.Descriptor,
) (there bool, refused, err error) {
	c := *head
	c.Method, c.Lane, c.Small = http.MethodGet, wire.Down, true
	if d.Size > 0 {
		c.Header = http.Header{"Range": {"bytes=0-0"}}
	}
	a, err := r.Host.Do(ctx, &c, 200, 206, 400, 401, 403, 404, 405, 416, 501)
	if err != nil {
		return false, nil, err
	}
	a.Close()
	size := read.Total(a)
	switch {
	case a.Status == http.StatusNotFound, a.Status == http.StatusRequestedRangeNotSatisfiable:
		return false, nil, nil // only an empty blob has no first byte
	case a.Status >= 400:
		return false, r.Host.Refusal(&c, a), nil
	case a.IsPage() && size != d.Size:
		return false, nil, c.Page(a)
	}
	return sized(a, size, d), nil, nil
}

// sized reports whether an answer that tells size may be about d's bytes. An answer without a size
// (-1) counts as the right size, and so does one with a Content-Encoding, whose size may be that of
// the encoded blob.
func sized(a *wire.Answer, size int64, d oci.Descriptor) bool {
	return size < 0 || size == d.Size || reason.Coding(a.Header) != ""
}

// askEmpty requests one tag to find out whether the repository is empty. Only NAME_UNKNOWN proves
// that. A repository without tags may hold blobs, and a 404 without that code may come from any
// host in between.
func (r *Pusher) askEmpty(ctx context.Context) error {
	if err := r.known.settle.Enter(ctx); err != nil {
		return r.Call("look into", "", "", r.Repo.String()).Stopped(ctx, err)
	}
	defer r.known.settle.Leave()
	r.known.mu.Lock()
	asked := r.known.asked
	r.known.mu.Unlock()
	if asked || r.filling() {
		return nil
	}
	c := r.Call("look into", http.MethodGet, "/tags/list", r.Repo.String())
	c.Query = "n=1"
	a, err := r.Host.Do(ctx, c, 200, 400, 403, 404, 405, 501)
	if fault.Is(err, fault.Denied) {
		err, a = nil, &wire.Answer{} // the login may be allowed to push but not to list
	}
	if err != nil {
		return err
	}
	empty := a.Status == 404 && a.Says("NAME_UNKNOWN")
	if empty && r.use.Pushes { // a caller that only looks fills nothing
		r.fill()
	}
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	if r.known.asked {
		return nil // meanwhile an upload left by an earlier process was found, so the repository is not empty
	}
	r.known.asked, r.known.empty = true, empty
	r.known.hidden = a.Status != 200 && !empty
	return nil
}
