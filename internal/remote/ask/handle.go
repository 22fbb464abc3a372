package ask

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Handle is one repository to ask: of which host, with whose login, and who watches.
type Handle struct {
	Host    *Host
	Repo    ref.Repo
	Access  *wire.Access
	Observe event.Watch
	Single  bool        // its trouble is not waited for: one try
	Yield   func() bool // asked where a request would wait for a spent pull limit; nil waits
}

// Path returns the path of tail below the repository.
func (r *Handle) Path(tail string) string { return "/v2/" + r.Repo.Path + tail }

// At is how a reference of r reads in errors and events.
func (r *Handle) At(reference string) string {
	if ref.Digest(reference) == nil {
		return r.Repo.At(reference).String()
	}
	return r.Repo.Tagged(reference).String()
}

// BlobName is how a blob of r reads in errors and events.
func (r *Handle) BlobName(d oci.Descriptor) string { return r.Repo.At(string(d.Digest)).String() }

// Call begins a request below the repository.
func (r *Handle) Call(op, method, tail, name string) *wire.Call {
	return &wire.Call{Op: op, Name: name, Method: method, Path: r.Path(tail), Access: r.Access, Observe: r.Observe, Single: r.Single, Yield: r.Yield}
}

// API asks the registry's own API, beside the distribution API and at its
// origin: with the same user and password as Basic, because its tokens are not
// good there. Without a password nothing is shown. One try.
func (r *Handle) API(ctx context.Context, c *wire.Call, path, query string) (*wire.Answer, error) {
	login, err := r.Access.Who(ctx)
	if err != nil {
		return nil, err
	}
	at, err := r.Host.Origin(ctx)
	if err != nil {
		return nil, c.Named(err)
	}
	if at.Path, err = url.PathUnescape(path); err != nil {
		return nil, c.Fault(fault.Internal, "", err)
	}
	at.RawPath, at.RawQuery = path, query
	c.URL = at
	authz := ""
	if login.Scheme == credential.Basic && !login.IsAnonymous() {
		authz = signin.Basic(login)
	}
	a, err := r.Host.Exchange(ctx, c, authz)
	if err != nil {
		return nil, c.Named(err)
	}
	return a, nil
}

// WithScope asks with a further right on the repository, and takes its scope
// back where that brought nothing: a token service may refuse all for one.
func (r *Handle) WithScope(ctx context.Context, action string, ask func(context.Context) (bool, error)) (bool, error) {
	scope := "repository:" + r.Repo.Path + ":" + action
	had := r.Access.Covers(scope)
	r.Access.Need(scope)
	unknown, err := ask(ctx)
	if err != nil && !had {
		r.Access.Drop(scope)
	}
	return unknown, err
}

// HarborCall begins a call below a repository of Harbor's API, where a slash in the repository's name is encoded twice.
func (r *Handle) HarborCall(ctx context.Context, op, project, rest string) (*wire.Call, error) {
	c := r.Apart(op)
	c.Path = fmt.Sprintf("/api/v2.0/projects/%s/repositories/%s/artifacts", project, strings.ReplaceAll(rest, "/", "%2F"))
	login, err := r.Access.Who(ctx)
	if err == nil && !login.IsAnonymous() && login.Scheme == credential.Basic {
		c.Header = http.Header{"Authorization": {signin.Basic(login)}}
	}
	return c, err
}

// Apart begins a call to an API beside the registry's, which gets no login of the registry.
func (r *Handle) Apart(op string) *wire.Call {
	return &wire.Call{Op: op, Name: r.Repo.String(), Method: http.MethodGet, Observe: r.Observe, Stay: true}
}
