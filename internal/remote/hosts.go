package remote

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Allowances tells what the registry at host is known to allow, by what it publishes, what
// was configured and what it refused so far. It makes no request; nil is nothing known.
func (c *Client) Allowances(host string) []credential.Allowance {
	name, err := ref.Host(host)
	if err != nil {
		return nil
	}
	return c.host(name).Budgets.Allowances()
}

// Budget tells of the pull limit of host. ok is false where there is none, or
// nothing is known of it yet. It makes no request.
func (c *Client) Budget(host string) (b limit.Budget, ok bool) {
	name, err := ref.Host(host)
	if err != nil {
		return limit.Budget{}, false
	}
	p := c.host(name).Pulls
	if p == nil {
		return limit.Budget{}, false
	}
	return p.Budget()
}

// Traits tells what is known of host, which is in canonical form. It makes no request.
func (c *Client) Traits(host string) product.Traits {
	h := c.host(host)
	return product.TraitsOf(h.Product(), h.Dialect)
}

// Warm dials connections for blob bodies to host, where they are going to be needed, so that TCP
// and TLS are done with when they are. It returns at once, and does nothing the second time, for a host
// that is not spoken to over TLS, and where a proxy or a mirror is in the way.
func (c *Client) Warm(ctx context.Context, host string) {
	name, err := ref.Host(host)
	if err != nil {
		return
	}
	c.host(name).Warm(ctx)
}

// Repositories calls visit for each repository path of host. Many registries
// have no such list: then the error says to give repositories by name.
func (c *Client) Repositories(ctx context.Context, host string, use Use, visit func(path string) error) error {
	name, err := ref.Host(host)
	if err != nil {
		return err
	}
	return list.Repositories(ctx, c.host(name).Host, c.catalogAccess(name, use), use.Observe, visit)
}

// FirstRepositories reads the first page of the list of repositories: one request, tried once.
func (c *Client) FirstRepositories(ctx context.Context, host string, use Use) ([]string, error) {
	name, err := ref.Host(host)
	if err != nil {
		return nil, err
	}
	return list.FirstRepositories(ctx, c.host(name).Host, c.catalogAccess(name, use), use.Observe)
}

func (c *Client) catalogAccess(name string, use Use) *wire.Access {
	return wire.NewAccess(c.options.Logins, ref.Repo{Host: name}, use.Login, "registry:catalog:*")
}

// ListsDigests reports whether List is expected to tell digests at host, from
// what is known of it so far, and whether a tag that is not listed is not there:
// the list of another service than the registry may lag behind it.
func (c *Client) ListsDigests(host string) (tells, complete bool) {
	name, err := ref.Host(host)
	if err != nil {
		return false, false
	}
	return c.host(name).lists.Tells()
}
