package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// handle is one repository to ask: of which host, with whose login, and who watches.
type handle struct {
	host    *host
	repo    ref.Repo
	access  *access
	observe event.Observer
	single  bool        // its trouble is not waited for: one try
	yield   func() bool // asked where a request would wait for a spent pull limit; nil waits
}

// path returns the path of tail below the repository.
func (r *handle) path(tail string) string { return "/v2/" + r.repo.Path + tail }

// at is how a reference of r reads in errors and events.
func (r *handle) at(reference string) string {
	if ref.Digest(reference) == nil {
		return r.repo.At(reference).String()
	}
	return r.repo.Tagged(reference).String()
}

func (r *handle) blobName(d oci.Descriptor) string { return r.repo.At(string(d.Digest)).String() }

// call begins a request below the repository.
func (r *handle) call(op, method, tail, name string) *call {
	return &call{op: op, name: name, method: method, path: r.path(tail), access: r.access, observe: r.observe, single: r.single, yield: r.yield}
}

// api asks the registry's own API, beside the distribution API and at its
// origin: with the same user and password as Basic, because its tokens are not
// good there. Without a password nothing is shown. One try.
func (r *handle) api(ctx context.Context, c *call, path, query string) (*answer, error) {
	login, err := r.access.who(ctx)
	if err != nil {
		return nil, err
	}
	at, err := r.host.origin(ctx)
	if err != nil {
		return nil, c.named(err)
	}
	if at.Path, err = url.PathUnescape(path); err != nil {
		return nil, c.fault(fault.Internal, "", err)
	}
	at.RawPath, at.RawQuery = path, query
	c.url = at
	authz := ""
	if login.Scheme == credential.Basic && !login.IsAnonymous() {
		authz = basic(login)
	}
	a, err := r.host.exchange(ctx, c, authz)
	if err != nil {
		return nil, c.named(err)
	}
	return a, nil
}

// withScope asks with a further right on the repository, and takes its scope
// back where that brought nothing: a token service may refuse all for one.
func (r *handle) withScope(ctx context.Context, action string, ask func(context.Context) (bool, error)) (bool, error) {
	scope := "repository:" + r.repo.Path + ":" + action
	had := r.access.covers(scope)
	r.access.need(scope)
	unknown, err := ask(ctx)
	if err != nil && !had {
		r.access.drop(scope)
	}
	return unknown, err
}

// harborCall begins a call below a repository of Harbor's API, where a slash in the repository's name is encoded twice.
func (r *handle) harborCall(ctx context.Context, op, project, rest string) (*call, error) {
	c := r.apart(op)
	c.path = fmt.Sprintf("/api/v2.0/projects/%s/repositories/%s/artifacts", project, strings.ReplaceAll(rest, "/", "%2F"))
	login, err := r.access.who(ctx)
	if err == nil && !login.IsAnonymous() && login.Scheme == credential.Basic {
		c.header = http.Header{"Authorization": {basic(login)}}
	}
	return c, err
}

// apart begins a call to an API beside the registry's, which gets no login of the registry.
func (r *handle) apart(op string) *call {
	return &call{op: op, name: r.repo.String(), method: http.MethodGet, observe: r.observe, stay: true}
}
