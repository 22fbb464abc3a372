package remote

import (
	"context"
	"net/http"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/oci"
)

// inventory is what was seen of a repository's blobs. A claim can be taken back.
type inventory struct {
	mu     sync.Mutex
	blobs  map[oci.Digest]bool // there or not, as last seen
	doubt  map[oci.Digest]bool // said to be there and then missed: only sending it proves anything
	proven map[oci.Digest]bool // asked for since it was put: see Prove
	settle gate                // one question about emptiness at a time
	empty  bool                // the repository did not exist: what was not put since is not there
	asked  bool                // whether it is empty was asked
	hidden bool                // and the answer does not tell
	open   int                 // how many blobs Missing left to Put at once, at most
	trail  bool                // it is on record as being filled, for it has no tags
}

func (i *inventory) has(d oci.Digest) (there, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	there, known = i.blobs[d]
	return there, known || i.empty || i.doubt[d]
}

func (i *inventory) note(d oci.Digest, there bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.blobs == nil {
		i.blobs = map[oci.Digest]bool{}
	}
	i.blobs[d] = there
}

// leave notes that it is left to Put whether n blobs are there.
func (i *inventory) leave(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open = max(i.open, n)
}

// left is how many blobs were left so.
func (i *inventory) left() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.open
}

// disown takes back that blobs are there.
func (i *inventory) disown(blobs []oci.Descriptor) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.doubt == nil {
		i.doubt = map[oci.Digest]bool{}
	}
	for _, d := range blobs {
		delete(i.blobs, d.Digest)
		delete(i.proven, d.Digest)
		i.doubt[d.Digest] = true
	}
}

// Missing returns those of blobs that the repository lacks, in their order. A
// repository that does not exist lacks all of them: with more than two blobs
// that is asked first, with one request; else each blob is asked for. While content is
// written (Use.Writing), and where the first request of an upload tells whether its blob
// is there, nothing is asked here and what is not known counts as missing.
func (r *Repository) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	unknown := r.unknown(blobs)
	switch {
	case len(unknown) > 0 && r.leaves():
		r.known.leave(len(unknown))
	default:
		if len(unknown) > 2 {
			if err := r.askEmpty(ctx); err != nil {
				return nil, err
			}
			unknown = r.unknown(unknown)
		}
		if err := r.askEach(ctx, unknown); err != nil {
			return nil, err
		}
	}
	var missing []oci.Descriptor
	for _, d := range blobs {
		if there, _ := r.known.has(d.Digest); !there {
			missing = append(missing, d)
		}
	}
	return missing, nil
}

func (r *Repository) askEach(ctx context.Context, blobs []oci.Descriptor) error {
	return r.askAll(ctx, blobs, func(ctx context.Context, d oci.Descriptor) error {
		_, err := r.hasBlob(ctx, d)
		return err
	})
}

// askAll asks for all of blobs, as many at once as the host's gate lets. The
// first error ends it.
func (r *Repository) askAll(ctx context.Context, blobs []oci.Descriptor, ask func(context.Context, oci.Descriptor) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	todo := make(chan oci.Descriptor)
	for range min(len(blobs), small) {
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

func (r *Repository) unknown(blobs []oci.Descriptor) []oci.Descriptor {
	var list []oci.Descriptor
	for _, d := range blobs {
		if _, known := r.known.has(d.Digest); !known {
			list = append(list, d)
		}
	}
	return list
}

// hasBlob asks with HEAD. A size that is not d's counts as absent.
func (r *Repository) hasBlob(ctx context.Context, d oci.Descriptor) (bool, error) {
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
		r.client.options.Uploads.Found(ledger.Key{Repo: r.repo, Digest: d.Digest})
	}
	return there, nil
}

// askEmpty asks for one tag. Only NAME_UNKNOWN says that a repository is
// empty: one without tags may hold blobs, and a bare 404 may come from anything.
func (r *Repository) askEmpty(ctx context.Context) error {
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
