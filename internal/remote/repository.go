package remote

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Repository is one repository of a registry: what reads it, what lists it, and what
// puts content there. It is safe for concurrent use and remembers which blobs it saw
// there. Errors are *fault.Fault without Side.
type Repository struct {
	*read.Reader
	*list.Lister
	*push.Pusher
	handle *ask.Handle
}

// Open returns a repository. Nothing is asked of the registry yet.
func (c *Client) Open(repo ref.Repo, use Use) *Repository {
	h := c.host(repo.Host)
	r := &Repository{handle: &ask.Handle{Host: h.Host, Repo: repo, Access: c.access(repo, use), Observe: use.Observe, Yield: use.Yield}}
	var mirrors []*read.Reader
	if use.Actions != Push { // what is written is looked at where it is written: a mirror may be behind
		mirrors = c.mirrors(h, repo, use)
	}
	r.Reader = read.New(r.handle, &h.reading, mirrors)
	r.Lister = list.New(r.handle, h.lists, r.Resolve)
	r.Pusher = push.New(r.handle, c.dock, h.pushing, r.Reader, push.Use{Writing: use.Writing, Pushes: use.Actions == Push})
	return r
}

// mirrors are those of a registry, which are tried first when reading.
func (c *Client) mirrors(h *registry, repo ref.Repo, use Use) (all []*read.Reader) {
	for _, m := range h.Set.Mirrors {
		name, err := ref.Host(m)
		if err != nil || name == repo.Host {
			continue
		}
		mirror, at := ref.Repo{Host: name, Path: repo.Path}, c.host(name)
		all = append(all, read.New(&ask.Handle{Host: at.Host, Repo: mirror, Access: c.access(mirror, Use{Actions: Pull}), Observe: use.Observe, Single: true},
			&at.reading, nil))
	}
	return all
}

// access puts the repository's own scope first: some token services look at the first only.
func (c *Client) access(repo ref.Repo, use Use) *wire.Access {
	actions := use.Actions
	if actions == "" {
		actions = Pull
	}
	a := wire.NewAccess(c.options.Logins, repo, use.Login, "repository:"+repo.Path+":"+string(actions))
	for _, path := range use.MountFrom {
		if path != repo.Path {
			a.Need("repository:" + path + ":pull")
		}
	}
	return a
}

// Repo is the identity of the repository.
func (r *Repository) Repo() ref.Repo { return r.handle.Repo }

// Resolve asks what a tag or digest points to: one HEAD where the answer is
// complete, else a GET whose bytes are hashed. It is NotFound when it is not there.
func (r *Repository) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	d, err := r.Reader.Resolve(ctx, reference)
	return d, r.Pusher.Unmade(ctx, err)
}

// Direct leaves mirrors out: what is asked then shows the registry itself. Call it before
// anything else.
func (r *Repository) Direct() *Repository {
	r.Reader.Direct()
	return r
}

// Once makes r give up where it would wait and try again, and leaves mirrors
// out: what is asked then shows the registry as it is now. Call it before anything else.
func (r *Repository) Once() *Repository {
	r.handle.Single = true
	return r.Direct()
}

// Login is what r shows the registry.
func (r *Repository) Login(ctx context.Context) (credential.Login, error) {
	return r.handle.Access.Who(ctx)
}
