package push

import (
	"context"
	"net/http"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote/limit"
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

// hasBlob asks with a HEAD whether the blob exists. A blob of another size than d's counts as
// missing.
func (r *Pusher) hasBlob(ctx context.Context, d oci.Descriptor) (bool, error) {
	c := r.Call("look for blob", http.MethodHead, "/blobs/"+string(d.Digest), r.BlobName(d))
	if err := c.Checked(string(d.Digest)); err != nil {
		return false, err
	}
	// Some logins or registries refuse a HEAD (403, 405). Then the upload finds out.
	a, err := r.Host.Do(ctx, c, 200, 400, 403, 404, 405, 501)
	if err != nil {
		return false, err
	}
	there := a.Status == 200 && (a.Length < 0 || a.Length == d.Size)
	if a.IsPage() && a.Length != d.Size {
		return false, c.Page(a)
	}
	r.known.note(d.Digest, there)
	if there && d.Size >= worthKeeping {
		r.dock.uploads.Found(ledger.Key{Repo: r.Repo, Digest: d.Digest})
	}
	return there, nil
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
