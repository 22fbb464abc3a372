package push

import (
	"context"
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
)

// A registry that is based on distribution tells with one POST whether a repository has a blob.
// Asked to mount the blob from the repository itself, it answers 201 if the blob exists, and
// otherwise 202 with the session that the upload needs anyway. At other registries, 202 may mean
// only that nothing is mounted. There, a HEAD asks for the blob, or one request asks whether the
// repository is empty.

// asked reports whether the repository has the blob, and finds out in the cheapest way that is
// possible. If that opens an upload session, the session is kept for the upload.
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
			// Asking and then canceling the session takes more requests than an upload that may be
			// unnecessary.
			return false, nil
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

// mountSelf asks to mount the blob from the repository that it is to be put into.
func (u *upload) mountSelf(ctx context.Context) (there bool, err error) {
	r, h := u.r, u.r.Host
	c := r.Call("put blob", http.MethodPost, "/blobs/uploads/", u.call.Name)
	c.Query = "mount=" + string(u.d.Digest) + "&from=" + r.Repo.Path
	a, err := h.Do(ctx, c, http.StatusCreated, http.StatusAccepted, http.StatusInternalServerError)
	switch {
	case fault.Is(err, fault.Canceled) || ask.Passing(err):
		return false, err
	case err != nil || a.Status == http.StatusInternalServerError: // it cannot mount
		r.taught.learnMounts(silent)
		return false, nil
	case a.Status == http.StatusCreated:
		r.taught.learnMounts(tells)
		w := &r.known.mounted
		if !r.taught.choosesMounts() { // a registry that confirms every mount was right by chance before
			w = &word{turn: make(limit.Gate, 1)}
		}
		return r.mounted(ctx, u.call, u.d, w)
	}
	// Only distribution writes the state of an upload into the upload's address.
	r.taught.learnChoice()
	v := silent
	if strings.Contains(a.Header.Get("Location"), "_state=") {
		v = tells
	}
	r.taught.learnMounts(v)
	u.learnChunks(a)
	return false, u.hold(ctx, a)
}
