package acr

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
)

const (
	defaultPage = 100
	maxPage     = 1000 // as in ACR
)

// page is what a request for a list asks for.
type page struct {
	n     int
	last  string    // the entry before the page; "" means the beginning
	since time.Time // the time of last, in an order by time
	order string    // "", "none", "timeasc" or "timedesc"
}

func pageOf(r *http.Request) (page, error) {
	q := r.URL.Query()
	p := page{n: defaultPage, last: q.Get("last"), order: strings.ToLower(q.Get("orderby"))}
	if n, err := strconv.Atoi(q.Get("n")); err == nil && n > 0 {
		p.n = min(n, maxPage)
	}
	if nano, err := strconv.ParseInt(q.Get("since"), 10, 64); err == nil {
		p.since = time.Unix(0, nano)
	}
	if !slices.Contains([]string{"", "none", "timeasc", "timedesc"}, p.order) {
		return p, errors.New("orderby must be timeasc, timedesc or none")
	}
	return p, nil
}

func (p page) byTime() bool { return strings.HasPrefix(p.order, "time") }

// next sets the header Link to the page after the entry last. The URL is relative, because SDKs join it to their
// endpoint. In an order by time it has the time of last, so that the next page is found even if last is deleted.
func (p page) next(w http.ResponseWriter, r *http.Request, last string, at time.Time) {
	q := url.Values{"last": {last}, "n": {strconv.Itoa(p.n)}}
	if by := r.URL.Query().Get("orderby"); by != "" {
		q.Set("orderby", by)
	}
	if p.byTime() {
		q.Set("since", strconv.FormatInt(at.UnixNano(), 10))
	}
	if of := r.URL.Query().Get("digest"); of != "" {
		q.Set("digest", of)
	}
	w.Header().Set("Link", "<"+(&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()+`>; rel="next"`)
}

// entry is a Tag or a Manifest in a list.
type entry interface {
	Tag | Manifest
	key() (name string, at time.Time)
}

func (t Tag) key() (string, time.Time)      { return t.Name, t.Updated.Time }
func (m Manifest) key() (string, time.Time) { return m.Digest, m.Updated.Time }

// cut orders all and returns the page of it. more reports whether others follow.
func cut[E entry](p page, all []E) (part []E, more bool) {
	compare := func(a, b E) int {
		x, at := a.key()
		y, bt := b.key()
		return p.compare(x, at, y, bt)
	}
	slices.SortFunc(all, compare)
	if p.last != "" {
		all = slices.DeleteFunc(all, func(e E) bool {
			name, at := e.key()
			return p.compare(name, at, p.last, p.since) <= 0
		})
	}
	if len(all) > p.n {
		return all[:p.n], true
	}
	return all, false
}

func (p page) compare(x string, at time.Time, y string, bt time.Time) int {
	if p.byTime() && !at.Equal(bt) {
		if p.order == "timedesc" {
			at, bt = bt, at
		}
		return at.Compare(bt)
	}
	return strings.Compare(x, y)
}

// catalog answers with a page of the repositories that the principal may pull.
func (h *handler) catalog(w http.ResponseWriter, r *http.Request, p access.Principal) {
	at, err := pageOf(r)
	if err != nil {
		Refuse(w, http.StatusBadRequest, "UNSUPPORTED", err.Error())
		return
	}
	mine := []string{}
	err = h.shelf.Repositories(r.Context(), func(path string) error {
		if path > at.last && h.Access.Allow(p, access.Ask{Verb: verbPull, Source: h.place(path)}) == nil {
			mine = append(mine, path)
		}
		return nil
	})
	if err != nil {
		Fail(w, err)
		return
	}
	slices.Sort(mine)
	if len(mine) > at.n {
		mine = mine[:at.n]
		at.next(w, r, mine[at.n-1], time.Time{})
	}
	Answer(w, http.StatusOK, map[string]any{"repositories": mine})
}

// tags answers with one page of the tags of repo.
func (h *handler) tags(w http.ResponseWriter, r *http.Request, repo string) {
	list(h, w, r, repo, "tags", h.shelf.Tags, func(ctx context.Context, repo string, all []Tag, _ Part) ([]Tag, error) {
		return h.shelf.CompleteTags(ctx, repo, all)
	})
}

// manifests answers with one page of the manifests of repo.
func (h *handler) manifests(w http.ResponseWriter, r *http.Request, repo string) {
	list(h, w, r, repo, "manifests", h.shelf.Manifests, h.shelf.CompleteManifests)
}

// list answers with one page of what read lists. Only the entries of the page are completed, but for an order by time
// all need their times first.
func list[E entry](h *handler, w http.ResponseWriter, r *http.Request, repo, key string,
	read func(context.Context, string) ([]E, error),
	complete func(context.Context, string, []E, Part) ([]E, error)) {
	at, err := pageOf(r)
	if err != nil {
		Refuse(w, http.StatusBadRequest, "UNSUPPORTED", err.Error())
		return
	}
	all, err := read(r.Context(), repo)
	if of := r.URL.Query().Get("digest"); err == nil && of != "" {
		all = slices.DeleteFunc(all, func(e E) bool { return !isOf(e, of) })
	}
	if err == nil && at.byTime() {
		all, err = complete(r.Context(), repo, all, Times)
	}
	if err != nil {
		Fail(w, err)
		return
	}
	if at.byTime() && slices.ContainsFunc(all, undated[E]) {
		// A script that deletes old images must not get another order.
		unsupported(w, http.StatusNotFound, "this registry does not tell when its "+key+" were set; leave orderby out")
		return
	}
	part, more := cut(at, all)
	if more {
		name, when := part[len(part)-1].key()
		at.next(w, r, name, when)
	}
	if part, err = complete(r.Context(), repo, part, All); err != nil {
		Fail(w, err)
		return
	}
	if part == nil {
		part = []E{}
	}
	Answer(w, http.StatusOK, map[string]any{"registry": h.host, "imageName": repo, key: part})
}

func undated[E entry](e E) bool {
	_, at := e.key()
	return at.IsZero()
}

// isOf reports whether e has digest.
func isOf[E entry](e E, digest string) bool {
	switch e := any(e).(type) {
	case Tag:
		return e.Digest == digest
	case Manifest:
		return e.Digest == digest
	}
	return false
}
