package ask

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Handle is one repository that requests are sent to, with its host, its login and the observer of
// its requests.
type Handle struct {
	Host    *Host
	Repo    ref.Repo
	Access  *wire.Access
	Observe event.Watch
	Single  bool // failures are not waited for: each request is sent once
	// Patience is that of the requests, see wire.Call.
	Patience time.Duration
	Yield    func() bool // called if a request would wait for the pull limit, see remote.Use; nil waits
}

// Path returns the URL path of tail within the repository.
func (r *Handle) Path(tail string) string { return "/v2/" + r.Repo.Path + tail }

// At returns the name of a tag or digest of r, as errors and events show it.
func (r *Handle) At(reference string) string {
	if ref.Digest(reference) == nil {
		return r.Repo.At(reference).String()
	}
	return r.Repo.Tagged(reference).String()
}

// BlobName returns the name of a blob of r, as errors and events show it.
func (r *Handle) BlobName(d oci.Descriptor) string { return r.Repo.At(string(d.Digest)).String() }

// Call returns a request to the path of tail within the repository.
func (r *Handle) Call(op, method, tail, name string) *wire.Call {
	return &wire.Call{
		Op:       op,
		Name:     name,
		Method:   method,
		Path:     r.Path(tail),
		Access:   r.Access,
		Observe:  r.Observe,
		Single:   r.Single,
		Yield:    r.Yield,
		Patience: r.Patience,
	}
}

// API sends a request to the registry's own API, which it offers at its origin in addition to the
// distribution API. The request carries the user and password as Basic, because the registry's
// tokens are not valid there. Without a password it carries no login. API makes one attempt.
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

// WithScope calls ask with a further action on the repository in the token's scopes. If ask fails,
// it removes the scope again, because a token service may refuse all scopes on account of one.
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

// HarborCall returns a request to the artifacts of a repository in Harbor's API. A slash in the
// repository's name is encoded twice there.
func (r *Handle) HarborCall(ctx context.Context, op, project, rest string) (*wire.Call, error) {
	c := r.Apart(op)
	c.Path = fmt.Sprintf("/api/v2.0/projects/%s/repositories/%s/artifacts", project, strings.ReplaceAll(rest, "/", "%2F"))
	login, err := r.Access.Who(ctx)
	if err == nil && !login.IsAnonymous() && login.Scheme == credential.Basic {
		c.Header = http.Header{"Authorization": {signin.Basic(login)}}
	}
	return c, err
}

// Apart returns a request to an API other than the registry's distribution API. It carries no login
// of the registry.
func (r *Handle) Apart(op string) *wire.Call {
	return &wire.Call{Op: op, Name: r.Repo.String(), Method: http.MethodGet, Observe: r.Observe, Stay: true}
}
