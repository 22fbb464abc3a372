package remote

import (
	"context"
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
)

// Registries of distribution's make tell by one POST whether a repository has a blob:
// asked to mount it from the repository itself they answer 201 where it is, and else
// 202 with the session that the upload needs anyway. Elsewhere 202 may mean only that
// nothing is mounted, so the blob is asked for, or the repository whether it is empty.

// verdict is whether a registry's 202 to a mount says that the blob is not there.
type verdict int

const (
	untried verdict = iota
	tells
	silent
)

// tryable are the products whose answers may tell; "" is one that is not known.
var tryable = map[string]bool{"": true, "distribution": true, "harbor": true, "gitlab": true}

// verdict is what is known of the host.
func (h *host) verdict() verdict {
	if !tryable[h.dialect.Kind] {
		return silent
	}
	return h.knows().mounts
}

// leaves reports whether Missing may leave it to Put to find out what is there.
func (r *Repository) leaves() bool {
	return r.writing != nil && r.writing() && r.host.verdict() != silent
}

// asked says whether the repository has the blob, in the cheapest way that is open.
// What it opens for the answer stays for the upload.
func (u *upload) asked(ctx context.Context) (there bool, err error) {
	r, h := u.r, u.r.host
	if u.at == nil && u.past == nil && r.leaves() {
		leave, err := h.sole(ctx)
		if err != nil {
			return false, u.call.stopped(ctx, err)
		}
		if h.verdict() != silent {
			there, err = u.mountSelf(ctx)
		}
		leave()
		if err != nil || there || h.verdict() == tells {
			return there, err
		}
		if u.at != nil && u.d.Size < worthAsking {
			return false, nil // to ask first and cancel the session takes more requests than to send it again
		}
	}
	left := r.known.left()
	if left > 2 {
		if err := r.askEmpty(ctx); err != nil {
			return false, err
		}
	}
	if _, known := r.known.has(u.d.Digest); known || left == 0 && u.d.Size < worthAsking {
		return false, nil
	}
	there, err = r.hasBlob(ctx, u.d)
	if passing(err) {
		err = nil // the upload will find out
	}
	return there, err
}

// sole returns when it is known whether mounts tell, or when it is the caller's turn to
// find that out for all; leave ends the turn.
func (h *host) sole(ctx context.Context) (leave func(), err error) {
	if h.verdict() != untried {
		return func() {}, nil
	}
	if err := h.trial.enter(ctx); err != nil {
		return nil, err
	}
	if h.verdict() != untried {
		h.trial.leave()
		return func() {}, nil
	}
	return h.trial.leave, nil
}

// mountSelf asks to mount the blob from where it is to go.
func (u *upload) mountSelf(ctx context.Context) (there bool, err error) {
	r, h := u.r, u.r.host
	c := r.call("put blob", http.MethodPost, "/blobs/uploads/", u.call.name)
	c.query = "mount=" + string(u.d.Digest) + "&from=" + r.repo.Path
	a, err := h.do(ctx, c, http.StatusCreated, http.StatusAccepted)
	switch {
	case fault.Is(err, fault.Canceled) || passing(err):
		return false, err
	case err != nil:
		h.learn(func(l *learned) { l.mounts = silent })
		return false, nil
	case a.status == http.StatusCreated:
		h.learn(func(l *learned) { l.mounts = tells })
		return true, nil
	}
	// Only distribution writes the state of an upload into its address.
	v := silent
	if strings.Contains(a.header.Get("Location"), "_state=") {
		v = tells
	}
	h.learn(func(l *learned) { l.mounts = v })
	if v == tells && u.lease != nil {
		r.fill() // nobody asked whether it is empty
	}
	u.learnChunks(a)
	return false, u.hold(ctx, a)
}
