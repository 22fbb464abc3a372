package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// errNoDelete is the cause for registries that let no registry client delete anything.
var errNoDelete = errors.New("this registry does not support deletion through the distribution API")

func isTag(reference string) bool { return ref.Digest(reference) != nil }

// Delete removes what reference names. If reference is a tag, it removes only that tag. If
// reference is a digest, it removes the manifest with all tags that point to it. Registries that
// delete no tagged manifest need these tags in the tags argument, and Delete removes them first.
// The error is NotFound if there is no such reference, Refused if the registry does not support
// this kind of deletion, and Conflict if the content is locked.
func (r *Repository) Delete(ctx context.Context, reference string, tags ...string) error {
	c := r.handle.Call("delete", http.MethodDelete, "/manifests/"+reference, r.handle.At(reference))
	if err := c.Checked(reference); err != nil {
		return err
	}
	tagged := isTag(reference)
	switch kind := r.handle.Host.Kind(); {
	case kind == "dockerhub":
		return c.Fault(fault.Refused, "delete it on hub.docker.com", errNoDelete)
	case kind == "ghcr":
		hint := "delete the version in the package's settings on GitHub, or with its packages API"
		return c.Fault(fault.Refused, hint, errNoDelete)
	case kind == "acr" && tagged:
		c.Path = "/acr/v1/" + r.handle.Repo.Path + "/_tags/" + reference
	case kind == "harbor" && tagged:
		return r.deleteHarborTag(ctx, c, reference)
	case kind == "gar" && !tagged:
		for _, tag := range tags { // Google deletes no manifest that has a tag
			if err := r.Delete(ctx, tag); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	}
	if r.handle.Host.Kind() == "quay" { // returns no token at all if the scopes include delete
		_, err := r.remove(ctx, c, tagged)
		return err
	}
	_, err := r.handle.WithScope(ctx, "delete", func(ctx context.Context) (bool, error) {
		return r.remove(ctx, c, tagged)
	})
	return err
}

// remove sends the request (distribution-spec v1.1.1 §Content Management) and maps refusals to
// errors.
func (r *Repository) remove(ctx context.Context, c *wire.Call, isTag bool) (bool, error) {
	a, err := r.handle.Host.Do(ctx, c, 200, 202, 204, 400, 405, 409, 412, 501)
	if err != nil || a.Status < 300 {
		return false, err
	}
	code, text := a.Problem()
	said := wire.Quote(a.Status, code, text)
	locked := strings.Contains(strings.ToLower(code+" "+text), "lock")
	switch {
	case a.Status == http.StatusConflict, a.Status == http.StatusPreconditionFailed, locked:
		return false, c.Fault(fault.Conflict, "", said)
	case isTag: // docker-registry 2.8.2 answers UNSUPPORTED or DIGEST_INVALID: it accepts only a digest here
		return false, c.Fault(fault.Refused, "use --manifest to delete the digest with all its tags",
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
