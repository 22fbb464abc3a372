package remote

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// worthAsking is the size in bytes from which a HEAD is cheaper than sending
// for nothing: 64 KiB.
const worthAsking = 64 << 10

// putKey is one blob on its way to one repository.
type putKey struct {
	repo   ref.Repo
	digest oci.Digest
}

// Put brings d into the repository: by mounting it from one of likely that is
// at the same host, else by sending what open yields (distribution-spec v1.1.1
// §Pushing blobs). Bytes that are not d's are Corrupt and never committed. An
// error of open comes back as it is. Of several Puts of one digest at once one
// sends and the others find it Present. With Options.Uploads a blob of 16 MiB or
// more goes on where an earlier process was cut; one that ends as Canceled,
// Denied, Throttled or Unavailable stays at the registry for the next.
func (r *Repository) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	c := r.call("put blob", "", "", r.blobName(d))
	v, err := oci.NewVerifier(d)
	if err != nil {
		return oci.Arrival{}, c.named(err)
	}
	if err := r.prepare(ctx); err != nil {
		return oci.Arrival{}, err
	}
	for {
		if there, _ := r.known.has(d.Digest); there {
			return oci.Arrival{Way: oci.Present}, nil
		}
		others, mine := r.client.claim(putKey{r.repo, d.Digest})
		if mine != nil {
			defer mine()
			break
		}
		select {
		case <-others.done:
			if others.arrived {
				r.known.note(d.Digest, true)
			}
		case <-ctx.Done():
			return oci.Arrival{}, c.stopped(ctx, context.Cause(ctx))
		}
	}
	arrival, err := r.put(ctx, c, d, likely, newFeed(d, v, open, &r.client.readers))
	if err != nil {
		return arrival, err
	}
	r.known.note(d.Digest, true)
	r.client.arrived(putKey{r.repo, d.Digest})
	return arrival, nil
}

// flight is a Put under way. arrived may be read once done is closed.
type flight struct {
	done    chan struct{}
	arrived bool
}

// claim makes a key the caller's, who calls mine when done, or returns whose it is.
func (c *Client) claim(key putKey) (others *flight, mine func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, busy := c.puts[key]; busy {
		return f, nil
	}
	f := &flight{done: make(chan struct{})}
	c.puts[key] = f
	return nil, func() {
		c.mu.Lock()
		delete(c.puts, key)
		c.mu.Unlock()
		close(f.done)
	}
}

func (c *Client) arrived(key putKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.puts[key].arrived = true
}

func (r *Repository) put(ctx context.Context, c *call, d oci.Descriptor, likely []ref.Repo, f *feed) (oci.Arrival, error) {
	u := &upload{r: r, call: c, d: d, feed: f, budget: r.host.budget(c)}
	defer f.close()
	u.claim()
	arrival, err := u.bring(ctx, likely)
	u.end(ctx, err)
	return arrival, err
}

// bring takes the cheapest way that is open. What it leaves open is for end to close.
func (u *upload) bring(ctx context.Context, likely []ref.Repo) (oci.Arrival, error) {
	if u.r.known.doubted(u.d.Digest) {
		likely = nil // a mount would link what is doubted
	}
	from, err := u.mount(ctx, likely)
	if err != nil {
		return oci.Arrival{}, err
	}
	if from != "" {
		return oci.Arrival{Way: oci.Mounted, From: from}, nil
	}
	if _, known := u.r.known.has(u.d.Digest); !known {
		there, err := u.asked(ctx)
		switch {
		case err != nil:
			return oci.Arrival{}, u.call.named(err)
		case there:
			return oci.Arrival{Way: oci.Present}, nil
		}
	}
	switch there, err := u.again(ctx); {
	case err != nil:
		return oci.Arrival{}, err
	case there:
		return oci.Arrival{Way: oci.Present}, nil
	}
	err = u.run(ctx)
	return oci.Arrival{Way: oci.Sent, Sent: u.feed.sent}, err
}

// mount asks for d from each of likely at this host until one gives it
// (distribution-spec v1.1.1 §Mounting a blob from another repository). A 202
// instead is an upload session: it stays for the upload.
func (u *upload) mount(ctx context.Context, likely []ref.Repo) (from string, err error) {
	r, h := u.r, u.r.host
	for _, repo := range likely {
		if repo.Host != r.repo.Host || repo.Path == r.repo.Path || h.refusesMount(repo.Path) {
			continue
		}
		scope := "repository:" + repo.Path + ":pull"
		fresh := !r.access.covers(scope)
		if fresh {
			r.access.need(scope)
		}
		c := r.call("mount blob", http.MethodPost, "/blobs/uploads/", u.call.name)
		c.query = "mount=" + string(u.d.Digest) + "&from=" + repo.Path
		a, err := h.do(ctx, c, http.StatusCreated, http.StatusAccepted, http.StatusInternalServerError)
		if err == nil && a.status == http.StatusInternalServerError {
			err = c.fault(fault.Invalid, "", errors.New("the registry can not mount"))
		}
		switch {
		case fault.Is(err, fault.Canceled) || passing(err):
			return "", err
		case err != nil:
			h.mu.Lock()
			h.mountless[repo.Path] = true
			h.mu.Unlock()
			if fresh {
				r.access.drop(scope)
			}
			continue
		case a.status == http.StatusCreated:
			return repo.Path, nil
		}
		return "", u.hold(ctx, a)
	}
	return "", nil
}

func (h *host) refusesMount(from string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mountless[from]
}

// abandon ends the session, if one is open, as far as the registry lets us. It
// is no part of the outcome, so it is short and outlives ctx.
func (u *upload) abandon(ctx context.Context) {
	u.cancel(ctx, u.at)
	u.at = nil
}

// cancel ends the session at an address; nil is none.
func (u *upload) cancel(ctx context.Context, at *url.URL) {
	if at == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	c := *u.call
	c.method, c.url, c.access, c.single = http.MethodDelete, at, u.r.access, true
	_, _ = u.r.host.do(ctx, &c, http.StatusNoContent)
}

// hold takes the session that an answer opened or moved.
func (u *upload) hold(ctx context.Context, a *answer) error {
	origin, err := u.r.host.origin(ctx)
	if err != nil {
		return err
	}
	var at *url.URL
	if at, err = u.r.host.located(origin, a.asked, a.header.Get("Location")); err != nil {
		return u.call.named(err)
	}
	if u.at != nil && *u.at != *at {
		u.r.recorded(u.lease.Move(at.String()))
	}
	u.at = at
	return nil
}
