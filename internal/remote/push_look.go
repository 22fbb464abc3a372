package remote

import (
	"context"
	"net/http"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/oci"
)

// askAll asks for all of blobs, as many at once as the host's gate lets. The
// first error ends it.
func (r *pusher) askAll(ctx context.Context, blobs []oci.Descriptor, ask func(context.Context, oci.Descriptor) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	todo := make(chan oci.Descriptor)
	for range min(len(blobs), abreast) {
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
	return r.call("look for blobs in", "", "", r.repo.String()).stopped(ctx, context.Cause(inner))
}

func (r *pusher) unknown(blobs []oci.Descriptor) []oci.Descriptor {
	var list []oci.Descriptor
	for _, d := range blobs {
		if _, known := r.known.has(d.Digest); !known {
			list = append(list, d)
		}
	}
	return list
}

// hasBlob asks with HEAD. A size that is not d's counts as absent.
func (r *pusher) hasBlob(ctx context.Context, d oci.Descriptor) (bool, error) {
	c := r.call("look for blob", http.MethodHead, "/blobs/"+string(d.Digest), r.blobName(d))
	if err := c.checked(string(d.Digest)); err != nil {
		return false, err
	}
	// What a HEAD may not see is left for the upload to find out: 403, 405.
	a, err := r.host.do(ctx, c, 200, 400, 403, 404, 405, 501)
	if err != nil {
		return false, err
	}
	there := a.status == 200 && (a.length < 0 || a.length == d.Size)
	r.known.note(d.Digest, there)
	if there && d.Size >= worthKeeping {
		r.dock.uploads.Found(ledger.Key{Repo: r.repo, Digest: d.Digest})
	}
	return there, nil
}

// askEmpty asks for one tag. Only NAME_UNKNOWN says that a repository is
// empty: one without tags may hold blobs, and a bare 404 may come from anything.
func (r *pusher) askEmpty(ctx context.Context) error {
	if err := r.known.settle.enter(ctx); err != nil {
		return r.call("look into", "", "", r.repo.String()).stopped(ctx, err)
	}
	defer r.known.settle.leave()
	r.known.mu.Lock()
	asked := r.known.asked
	r.known.mu.Unlock()
	if asked || r.filling() {
		return nil
	}
	c := r.call("look into", http.MethodGet, "/tags/list", r.repo.String())
	c.query = "n=1"
	a, err := r.host.do(ctx, c, 200, 400, 403, 404, 405, 501)
	if fault.Is(err, fault.Denied) {
		err, a = nil, &answer{} // listing may be forbidden where pushing is not
	}
	if err != nil {
		return err
	}
	code, _ := a.problem()
	empty := a.status == 404 && code == "NAME_UNKNOWN"
	if empty && r.pushes { // who only looks fills nothing
		r.fill()
	}
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	if r.known.asked {
		return nil // it was tended, as is known since
	}
	r.known.asked, r.known.empty = true, empty
	r.known.hidden = a.status != 200 && !empty
	return nil
}
