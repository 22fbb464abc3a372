package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// errNoDelete is the cause for registries that let no registry client delete anything.
var errNoDelete = errors.New("this registry does not support deletion through the distribution API")

func isTag(reference string) bool { return ref.Digest(reference) != nil }

// Delete removes what reference names. If reference is a tag, it removes only that tag. If
// reference is a digest, it removes the manifest and the tags that point to it, which are in the tags
// argument. It returns nil when the registry no longer answers for any of them.
//
// The error is NotFound if there is no such reference, Refused if the registry does not support
// this kind of deletion, and Conflict if the content is locked, or if the registry accepts the
// deletion and still has what was to be deleted.
func (r *Repository) Delete(ctx context.Context, reference string, tags ...string) error {
	if r.handle.Host.Kind() == "gar" { // Google deletes no manifest that has a tag
		for _, tag := range tags {
			if err := r.request(ctx, tag); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	}
	if err := r.request(ctx, reference); err != nil {
		return err
	}
	return r.gone(ctx, reference, tags)
}

// settling is how long gone waits before each further question: registries with caches or replicas
// delete after they answer.
func settling() []time.Duration {
	return []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}
}

// gone returns nil once the registry answers neither for reference, which it accepted to delete, nor
// with its content for any of tags. go-containerregistry's registry deletes a manifest and leaves its
// tags, so tags that are still there are deleted one by one.
func (r *Repository) gone(ctx context.Context, reference string, tags []string) error {
	c := r.deletion(reference)
	still, err := r.remaining(ctx, reference, append([]string{reference}, tags...))
	for _, tag := range still {
		if tag != reference {
			_ = r.request(ctx, tag) // whether it is gone is asked below
		}
	}
	for _, pause := range settling() {
		if err != nil || len(still) == 0 {
			break
		}
		if err := limit.Sleep(ctx, pause); err != nil {
			return c.Stopped(ctx, err)
		}
		still, err = r.remaining(ctx, reference, still)
	}
	switch {
	case err != nil:
		return c.Named(fmt.Errorf("the registry accepted it, but whether it is gone is not known: %w", err))
	case len(still) > 0:
		return c.Fault(fault.Conflict, "try again later; if nothing changes, ask the operator of the registry",
			fmt.Errorf("the registry accepted it, but still answers for %s", strings.Join(still, ", ")))
	}
	return nil
}

// asking is how many references are looked up at once.
const asking = 16

// remaining returns the references that the registry still answers for. A tag that by now points to
// other content than the deleted manifest is not one of them.
func (r *Repository) remaining(ctx context.Context, reference string, all []string) (still []string, err error) {
	for some := range slices.Chunk(all, asking) {
		there, errs := make([]bool, len(some)), make([]error, len(some))
		var wg sync.WaitGroup
		for i, name := range some {
			wg.Go(func() {
				d, err := r.Straight(ctx, name)
				switch {
				case err == nil:
					there[i] = isTag(reference) || d.Digest == oci.Digest(reference)
				case !fault.Is(err, fault.NotFound) && !IsForbidden(err): // some answer 403 for what is not there
					errs[i] = err
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		for i, name := range some {
			if there[i] {
				still = append(still, name)
			}
		}
	}
	return still, nil
}

// request asks the registry to delete reference.
func (r *Repository) request(ctx context.Context, reference string) error {
	c := r.deletion(reference)
	if err := c.Checked(reference); err != nil {
		return err
	}
	tagged := isTag(reference)
	kind := r.handle.Host.Kind()
	switch {
	case kind == "dockerhub":
		return c.Fault(fault.Refused, "delete it on hub.docker.com", errNoDelete)
	case kind == "ghcr":
		hint := "delete the version in the package's settings on GitHub, or with its packages API"
		return c.Fault(fault.Refused, hint, errNoDelete)
	case kind == "acr" && tagged:
		c.Path = "/acr/v1/" + r.handle.Repo.Path + "/_tags/" + reference
	case kind == "harbor" && tagged:
		return r.deleteHarborTag(ctx, c, reference)
	}
	if kind == "quay" { // returns no token at all if the scopes include delete
		_, err := r.remove(ctx, c, tagged)
		return err
	}
	_, err := r.handle.WithScope(ctx, "delete", func(ctx context.Context) (bool, error) {
		return r.remove(ctx, c, tagged)
	})
	return err
}

func (r *Repository) deletion(reference string) *wire.Call {
	return r.handle.Call("delete", http.MethodDelete, "/manifests/"+reference, r.handle.At(reference))
}

// remove sends the request (distribution-spec v1.1.1 §Content Management) and maps refusals to
// errors.
func (r *Repository) remove(ctx context.Context, c *wire.Call, isTag bool) (bool, error) {
	a, err := r.handle.Host.Do(ctx, c, 200, 202, 204, 400, 405, 409, 412, 501)
	if err != nil || a.Status < 300 {
		return false, err
	}
	code, text := a.Problem()
	said := reason.Quote(a.Status, code, text)
	locked := strings.Contains(strings.ToLower(code+" "+text), "lock")
	switch {
	case a.Status == http.StatusConflict, a.Status == http.StatusPreconditionFailed, locked:
		return false, c.Fault(fault.Conflict, "", said)
	case isTag: // docker-registry 2.8.2 answers UNSUPPORTED or DIGEST_INVALID: it accepts only a digest here
		return false, c.Fault(fault.Refused, "delete the digest with all its tags: "+shell.Dray("rm", "--manifest", c.Name),
			fmt.Errorf("this registry cannot delete a tag alone: %w", said))
	}
	return false, c.Fault(fault.Refused, "check whether the registry has deletion enabled", said)
}

// deleteHarborTag deletes a tag through Harbor's own API, because Harbor's distribution API accepts
// only digests.
func (r *Repository) deleteHarborTag(ctx context.Context, c *wire.Call, tag string) error {
	project, rest, ok := strings.Cut(r.handle.Repo.Path, "/")
	if !ok {
		_, err := r.remove(ctx, c, true)
		return err
	}
	h, err := r.handle.HarborCall(ctx, c.Op, project, rest)
	if err != nil {
		return err
	}
	h.Name, h.Method, h.Path = c.Name, c.Method, h.Path+"/"+tag+"/tags/"+tag
	_, err = r.remove(ctx, h, true)
	return err
}
