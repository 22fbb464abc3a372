package push

import (
	"context"
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
)

// Registries of distribution's make tell by one POST whether a repository has a blob:
// asked to mount it from the repository itself they answer 201 where it is, and else
// 202 with the session that the upload needs anyway. Elsewhere 202 may mean only that
// nothing is mounted, so the blob is asked for, or the repository whether it is empty.

// asked says whether the repository has the blob, in the cheapest way that is open.
// What it opens for the answer stays for the upload.
func (u *upload) asked(ctx context.Context) (there bool, err error) {
	r := u.r
	if u.at == nil && u.past == nil && r.leaves() {
		leave, err := r.taught.sole(ctx)
		if err != nil {
			return false, u.call.Stopped(ctx, err)
		}
		if r.taught.verdict() != silent {
			there, err = u.mountSelf(ctx)
		}
		leave()
		if err != nil || there || r.taught.verdict() == tells {
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
	if ask.Passing(err) {
		err = nil // the upload will find out
	}
	return there, err
}

// mountSelf asks to mount the blob from where it is to go.
func (u *upload) mountSelf(ctx context.Context) (there bool, err error) {
	r, h := u.r, u.r.Host
	c := r.Call("put blob", http.MethodPost, "/blobs/uploads/", u.call.Name)
	c.Query = "mount=" + string(u.d.Digest) + "&from=" + r.Repo.Path
	a, err := h.Do(ctx, c, http.StatusCreated, http.StatusAccepted)
	switch {
	case fault.Is(err, fault.Canceled) || ask.Passing(err):
		return false, err
	case err != nil:
		r.taught.learnMounts(silent)
		return false, nil
	case a.Status == http.StatusCreated:
		r.taught.learnMounts(tells)
		return true, nil
	}
	// Only distribution writes the state of an upload into its address.
	v := silent
	if strings.Contains(a.Header.Get("Location"), "_state=") {
		v = tells
	}
	r.taught.learnMounts(v)
	if v == tells && u.lease != nil {
		r.fill() // nobody asked whether it is empty
	}
	u.learnChunks(a)
	return false, u.hold(ctx, a)
}
