package remote

import (
	"context"
	"net/netip"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Allowances returns the request rates that the registry at host is known to allow: those it
// publishes or those configured, reduced after refusals. Nil means that none is known. It makes no
// request.
func (c *Client) Allowances(host string) []credential.Allowance {
	name, err := ref.Host(host)
	if err != nil {
		return nil
	}
	return c.host(name).Budgets.Allowances()
}

// Budget returns the pull limit of host. It returns ok = false if the host has no pull limit or
// nothing is known about it yet. It makes no request.
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

// Traits returns what is known in advance about the product that runs at host. The name host must
// be in canonical form. It makes no request.
func (c *Client) Traits(host string) product.Traits {
	h := c.host(host)
	return product.TraitsOf(h.Product(), h.Dialect)
}

// Warm dials connections to host for blob bodies before they are needed, so that the TCP and TLS
// handshakes are done by then. It returns at once. It does nothing on a second call, for a host
// that is not reached over TLS, and if a proxy or a mirror is in use.
func (c *Client) Warm(ctx context.Context, host string) {
	name, err := ref.Host(host)
	if err != nil {
		return
	}
	c.host(name).Warm(ctx)
}

// Repositories calls visit for each repository path of host. Many registries do not offer this
// list; the hint of the error then says to name the repositories.
func (c *Client) Repositories(ctx context.Context, host string, use Use, visit func(path string) error) error {
	name, err := ref.Host(host)
	if err != nil {
		return err
	}
	return list.Repositories(ctx, c.host(name).lists, c.catalogAccess(name, use), c.watched(use.Observe), visit)
}

// FirstRepositories returns the first page of the list of repositories. It makes one request and
// does not retry.
func (c *Client) FirstRepositories(ctx context.Context, host string, use Use) ([]string, error) {
	name, err := ref.Host(host)
	if err != nil {
		return nil, err
	}
	return list.FirstRepositories(ctx, c.host(name).lists, c.catalogAccess(name, use), c.watched(use.Observe))
}

func (c *Client) catalogAccess(name string, use Use) *wire.Access {
	return wire.NewAccess(c.options.Logins, ref.Repo{Host: name}, use.Login, "registry:catalog:*")
}

// ListsDigests reports, from what is known about host so far, whether List is expected to return
// digests (tells), and whether a tag that is not listed does not exist (complete). The list of a
// service other than the registry itself may lag behind the registry.
func (c *Client) ListsDigests(host string) (tells, complete bool) {
	name, err := ref.Host(host)
	if err != nil {
		return false, false
	}
	return c.host(name).lists.Tells()
}

// IsPublic reports whether ip is an address on the Internet: not one of this machine, of a private network, or of the
// services of a cloud.
func IsPublic(ip netip.Addr) bool { return wire.IsPublic(ip) }
