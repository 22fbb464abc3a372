package remote

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Repository is one repository of a registry: what reads it, what lists it, and what
// puts content there. It is safe for concurrent use and remembers which blobs it saw
// there. Errors are *fault.Fault without Side.
type Repository struct {
	*reader
	*lister
	*pusher
	handle *handle
}

// Open returns a repository. Nothing is asked of the registry yet.
func (c *Client) Open(repo ref.Repo, use Use) *Repository {
	h := c.host(repo.Host)
	r := &Repository{handle: &handle{host: h.host, repo: repo, access: c.access(repo, use), observe: use.Observe, yield: use.Yield}}
	var mirrors []*reader
	if use.Actions != Push { // what is written is looked at where it is written: a mirror may be behind
		mirrors = c.mirrors(h, repo, use)
	}
	r.reader = newReader(r.handle, &h.reading, mirrors)
	r.lister = newLister(r.handle, h.lists, r.Resolve)
	r.pusher = newPusher(r.handle, c.dock, h.pushing, r.reader, use.Writing)
	r.pusher.pushes = use.Actions == Push
	return r
}

// mirrors are those of a registry, which are tried first when reading.
func (c *Client) mirrors(h *registry, repo ref.Repo, use Use) (all []*reader) {
	for _, m := range h.set.Mirrors {
		name, err := ref.Host(m)
		if err != nil || name == repo.Host {
			continue
		}
		mirror, at := ref.Repo{Host: name, Path: repo.Path}, c.host(name)
		all = append(all, newReader(&handle{host: at.host, repo: mirror, access: c.access(mirror, Use{Actions: Pull}), observe: use.Observe, single: true},
			&at.reading, nil))
	}
	return all
}

// access puts the repository's own scope first: some token services look at the first only.
func (c *Client) access(repo ref.Repo, use Use) *access {
	actions := use.Actions
	if actions == "" {
		actions = Pull
	}
	a := newAccess(c.options.Logins, repo, use.Login, "repository:"+repo.Path+":"+string(actions))
	for _, path := range use.MountFrom {
		if path != repo.Path {
			a.need("repository:" + path + ":pull")
		}
	}
	return a
}

// Repo is the identity of the repository.
func (r *Repository) Repo() ref.Repo { return r.handle.repo }

// Resolve asks what a tag or digest points to: one HEAD where the answer is
// complete, else a GET whose bytes are hashed. It is NotFound when it is not there.
func (r *Repository) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	d, err := r.reader.Resolve(ctx, reference)
	return d, r.pusher.unmade(ctx, err)
}

// Direct leaves mirrors out: what is asked then shows the registry itself. Call it before
// anything else.
func (r *Repository) Direct() *Repository {
	r.reader.Direct()
	return r
}

// Once makes r give up where it would wait and try again, and leaves mirrors
// out: what is asked then shows the registry as it is now. Call it before anything else.
func (r *Repository) Once() *Repository {
	r.handle.single = true
	return r.Direct()
}

// Login is what r shows the registry.
func (r *Repository) Login(ctx context.Context) (credential.Login, error) {
	return r.handle.access.who(ctx)
}
