package registry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/answer"
	"github.com/drayage/dray/internal/registry/tend"
)

// checkEvery is how many bytes of a body are read until the limits of its principal are looked at again.
const checkEvery = 8 << 20

// upload serves a request that begins, continues, finishes or cancels the upload at. It refuses one for which there is
// no room. A mount of a blob that is there needs none.
func (r *Registry) upload(a *answer.Answer, req *http.Request, at tend.Upload) {
	length := max(req.ContentLength, 0)
	var over *tend.Over
	switch req.Method {
	case http.MethodPost:
		from, err := reference.WithName(req.Form.Get("from"))
		if err == nil && r.mayPull(req.Context(), from.Name(), "") != nil {
			req.Form.Del("mount") // then it is the start of a normal upload
		}
		if r.mounts(req) {
			r.app.ServeHTTP(a, req)
			return
		}
		over = r.book.May(at.Owner)
	case http.MethodPatch, http.MethodPut:
		over = r.book.MayGrow(at, length)
		req.Body = &countedBody{ReadCloser: req.Body, book: r.book, upload: at, answer: a}
	case http.MethodDelete:
		r.app.ServeHTTP(a, req)
		if a.Status == http.StatusNoContent { // distribution has written the state of the hash once more
			r.removeUpload(req.Context(), at)
		}
		return
	}
	switch {
	case !r.hasRoom(a, length): // what has come is of no use now, and takes space
		r.removeUpload(req.Context(), at)
		return
	case over != nil:
		r.tooMany.Add(1)
		answer.RefuseMore(a, over)
		return
	}
	r.app.ServeHTTP(a, req)
	switch {
	case a.Over != nil:
		r.tooMany.Add(1)
	case a.Why() != nil:
		r.removeUpload(req.Context(), at)
	case req.Method == http.MethodPost && a.Status == http.StatusAccepted:
		at.ID = a.Header().Get("Docker-Upload-UUID")
		r.book.Begin(at)
	case a.Status == http.StatusCreated, a.Status == http.StatusNotFound:
		r.book.End(at)
	}
}

// removeUpload removes an upload, if at.ID is the ID of one. If that fails, it expires.
func (r *Registry) removeUpload(ctx context.Context, at tend.Upload) {
	if isUUID(at.ID) {
		r.book.End(at)
		_ = at.Remove(context.WithoutCancel(ctx), r.index.Driver)
	}
}

// mounts reports whether a request mounts a blob that the other repository has.
func (r *Registry) mounts(req *http.Request) bool {
	from, err := reference.WithName(req.Form.Get("from"))
	d, bad := digest.Parse(req.Form.Get("mount"))
	if err != nil || bad != nil {
		return false
	}
	file, _, err := r.find(req.Context(), from.Name(), d)
	return err == nil && file != ""
}

// isUUID reports whether id has the form of the ID of an upload, so that it is the name of one directory.
func isUUID(id string) bool { return len(id) == 36 && strings.Trim(id, "0123456789abcdef-") == "" }

// hasRoom reports whether n more bytes leave as much space free as must stay free. If not, it answers the push. The log
// says it once, and once when there is room again.
func (r *Registry) hasRoom(a *answer.Answer, n int64) bool {
	err := r.index.Driver.Check(n)
	if err != nil {
		r.full.Add(1)
		answer.Refuse(a, http.StatusInsufficientStorage, errcode.ErrorCodeDenied.WithMessage(err.Error()))
	}
	switch {
	case err == nil && r.short.CompareAndSwap(true, false):
		r.tellSpace("pushes are accepted again")
	case err != nil && n == 0 && r.short.CompareAndSwap(false, true): // otherwise a smaller push may fit
		r.tellSpace("pushes are refused: too little space is free")
	}
	return err == nil
}

func (r *Registry) tellSpace(text string) {
	room, _ := r.index.Driver.Room()
	r.log.Warn(text, slog.String("space", room.String()))
}

// unwritten counts and logs a request whose content could not be written.
func (r *Registry) unwritten(a *answer.Answer, req *http.Request) {
	u := a.Why()
	if u == nil || u.Err == nil {
		return
	}
	r.full.Add(1)
	r.log.LogAttrs(req.Context(), slog.LevelError, "storage cannot be written", slog.String("method", req.Method),
		slog.String("path", req.URL.Path), slog.Any("err", u.Err))
}

// countedBody counts the bytes of a body in the book. It ends the body when the principal has too many.
type countedBody struct {
	io.ReadCloser
	book   *tend.Book
	upload tend.Upload
	answer *answer.Answer
	since  int
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.book.Grow(b.upload, n)
	if b.since += n; b.since >= checkEvery {
		b.since = 0
		if b.answer.Over = b.book.MayGrow(b.upload, 0); b.answer.Over != nil {
			return n, b.answer.Over
		}
	}
	return n, err
}
