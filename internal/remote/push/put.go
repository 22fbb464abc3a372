package push

import (
	"context"
	"errors"
	"net/http"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/feed"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Put puts d into the repository. It mounts d from one of likely that is at the same host, or else
// uploads the bytes that open yields (distribution-spec v1.1.1 §Pushing blobs). Bytes that do not
// match d are an error of Kind Corrupt and are never committed. Put returns an error of open
// unchanged. If several Puts of one digest run at once, one uploads, and the others report Present.
//
// If Options.Uploads of the Client is set, a blob of 16 MiB or more is resumed at the point at
// which an earlier process was interrupted. An upload that ends with Canceled, Denied, Throttled or
// Unavailable stays at the registry for the next process.
func (r *Pusher) Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	c := r.Call("put blob", "", "", r.BlobName(d))
	v, err := oci.NewVerifier(d)
	if err != nil {
		return oci.Arrival{}, c.Named(err)
	}
	if err := r.prepare(ctx); err != nil {
		return oci.Arrival{}, err
	}
	for {
		if there, _ := r.known.has(d.Digest); there {
			return oci.Arrival{Way: oci.Present}, nil
		}
		others, mine := r.dock.claim(putKey{r.Repo, d.Digest})
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
			return oci.Arrival{}, c.Stopped(ctx, context.Cause(ctx))
		}
	}
	arrival, err := r.put(ctx, c, d, likely, feed.New(d, v, open, r.dock.readers))
	if err != nil {
		return arrival, err
	}
	r.known.note(d.Digest, true)
	r.dock.arrived(putKey{r.Repo, d.Digest})
	return arrival, nil
}

func (r *Pusher) put(
	ctx context.Context, c *wire.Call, d oci.Descriptor, likely []ref.Repo, f *feed.Feed,
) (oci.Arrival, error) {
	u := &upload{r: r, call: c, d: d, feed: f, budget: r.Host.Budget(c)}
	defer f.Close()
	u.claim()
	arrival, err := u.bring(ctx, likely)
	u.end(ctx, err)
	return arrival, err
}

// bring puts the blob in the cheapest way that is possible. If it leaves a session open, end closes
// it.
func (u *upload) bring(ctx context.Context, likely []ref.Repo) (oci.Arrival, error) {
	if u.r.known.doubted(u.d.Digest) {
		likely = nil // a mount would link the doubted blob
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
			return oci.Arrival{}, u.call.Named(err)
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
	u.r.leaveTrail()
	err = u.run(ctx)
	return oci.Arrival{Way: oci.Sent, Sent: u.feed.Sent}, err
}

// mount tries to mount d from each of likely at this host until one succeeds (distribution-spec
// v1.1.1 §Mounting a blob from another repository). If the registry answers 202, it has opened an
// upload session instead, and the upload uses it.
func (u *upload) mount(ctx context.Context, likely []ref.Repo) (from string, err error) {
	r, h := u.r, u.r.Host
	for _, repo := range likely {
		if repo.Host != r.Repo.Host || repo.Path == r.Repo.Path || r.taught.refusesMount(repo.Path) {
			continue
		}
		scope := "repository:" + repo.Path + ":pull"
		fresh := !r.Access.Covers(scope)
		if fresh {
			r.Access.Need(scope)
		}
		c := r.Call("mount blob", http.MethodPost, "/blobs/uploads/", u.call.Name)
		c.Query = "mount=" + string(u.d.Digest) + "&from=" + repo.Path
		a, err := h.Do(ctx, c, http.StatusCreated, http.StatusAccepted, http.StatusInternalServerError)
		if err == nil && a.Status == http.StatusInternalServerError {
			err = c.Fault(fault.Invalid, "", errors.New("the registry cannot mount"))
		}
		switch {
		case fault.Is(err, fault.Canceled) || ask.Passing(err):
			return "", err
		case err != nil:
			r.taught.refuseMount(repo.Path)
			if fresh {
				r.Access.Drop(scope)
			}
			continue
		case a.Status == http.StatusCreated:
			there, err := r.mounted(ctx, u.call, u.d, &r.taught.mounted)
			if there {
				from = repo.Path
			}
			return from, err
		}
		return "", u.hold(ctx, a)
	}
	return "", nil
}
