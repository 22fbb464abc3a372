package remote

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/list"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/subject"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Repository is one repository of a registry, with the methods that read it, list it and push
// content to it. It is safe for concurrent use, and it remembers which blobs it has seen there.
// Errors are of type *fault.Fault with an empty Side.
type Repository struct {
	*read.Reader
	*list.Lister
	*push.Pusher
	handle *ask.Handle
	keeper *subject.Keeper
}

// Open returns a handle on a repository. It makes no request.
func (c *Client) Open(repo ref.Repo, use Use) *Repository {
	h := c.host(repo.Host)
	use.Observe = c.watched(use.Observe)
	r := &Repository{handle: &ask.Handle{
		Host:    h.Host,
		Repo:    repo,
		Access:  c.access(repo, use),
		Observe: use.Observe,
		Yield:   use.Yield,
	}}
	var mirrors []*read.Reader
	// A repository that is written to is read without mirrors, because a mirror may be out of date.
	if use.Actions != Push {
		mirrors = c.mirrors(h, repo, use)
	}
	r.Reader = read.New(r.handle, &h.reading, mirrors)
	if use.Actions != Push && !use.Target {
		r.Reader.Source()
	}
	r.Lister = list.New(r.handle, h.lists, r.Resolve)
	r.Pusher = push.New(r.handle, c.dock, h.pushing, r.Reader, push.Use{Writing: use.Writing, Pushes: use.Actions == Push})
	single := *r.handle
	single.Single = true
	r.keeper = &subject.Keeper{Handle: r.handle, Read: r.Reader, Desk: &c.subjects, Allow: use.Lists,
		Put: push.New(&single, c.dock, h.pushing, r.Reader, push.Use{})}
	return r
}

// PutDocument implements transfer.Target, see push.Pusher. If doc has a subject, it returns when the
// registry lists doc below it. If the registry does not do so itself, the tag of the subject's
// referrers gets doc. If that fails, the error says so, although doc and its tags are there.
func (r *Repository) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	accepted, err := r.Pusher.PutDocument(ctx, doc, tags...)
	if err != nil || !doc.HasListedSubject() || accepted.Subject == doc.Subject.Digest {
		return accepted, err
	}
	if err := r.keeper.Acknowledge(ctx, doc); err != nil {
		return accepted, err
	}
	accepted.Subject = doc.Subject.Digest
	return accepted, nil
}

// mirrors returns readers of the registry's mirrors, which are tried first when reading.
func (c *Client) mirrors(h *registry, repo ref.Repo, use Use) (all []*read.Reader) {
	for _, m := range h.Set.Mirrors {
		name, err := ref.Host(m)
		if err != nil || name == repo.Host {
			continue
		}
		mirror, at := ref.Repo{Host: name, Path: repo.Path}, c.host(name)
		handle := &ask.Handle{
			Host:    at.Host,
			Repo:    mirror,
			Access:  c.access(mirror, Use{Actions: Pull}),
			Observe: use.Observe,
			Single:  true,
		}
		all = append(all, read.New(handle, &at.reading, nil))
	}
	return all
}

// access returns the login and the scopes for repo. The scope of repo itself comes first, because
// some token services look only at the first scope.
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

// Repo returns the name of the repository.
func (r *Repository) Repo() ref.Repo { return r.handle.Repo }

// Resolve returns the descriptor that a tag or digest points to. It sends one HEAD. If the headers
// of the answer are incomplete, it sends a GET and computes the digest of the body. The error is
// NotFound if there is no such reference.
func (r *Repository) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	d, err := r.Reader.Resolve(ctx, reference)
	return d, r.Pusher.Unmade(ctx, err)
}

// List calls visit with each tag. If it has listed all of them, the tags of the referrers schema among them
// are known, and Referrers asks for none of the others.
func (r *Repository) List(ctx context.Context, visit func(oci.Listed) error) error {
	fallbacks := map[string]bool{}
	err := r.Lister.List(ctx, func(l oci.Listed) error {
		if _, fallback := oci.TaggedFor(l.Tag); fallback {
			fallbacks[l.Tag] = true
		}
		return visit(l)
	})
	if err == nil {
		r.Reader.Listed(fallbacks)
	}
	return err
}

// Direct makes r read from the registry itself and not from its mirrors. Call it before any other
// method.
func (r *Repository) Direct() *Repository {
	r.Reader.Direct()
	return r
}

// Once makes r fail where it would otherwise wait and try again, and bypasses mirrors, so that the
// answers show the present state of the registry. Call it before any other method.
func (r *Repository) Once() *Repository {
	r.handle.Single = true
	return r.Direct()
}

// Login returns the login that r uses at the registry.
func (r *Repository) Login(ctx context.Context) (credential.Login, error) {
	return r.handle.Access.Who(ctx)
}
