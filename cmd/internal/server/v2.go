package server

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Verbs of the registry's own API, for rules and the audit log.
const (
	verbPull   = "pull"
	verbPush   = "push"
	verbDelete = "delete"
)

// gate stands before the registry: who asks, and whether that may be.
type gate struct {
	*parts
	next http.Handler

	// Whether a tag is made or replaced is told before it is put. For those who may only make
	// some, nobody else of them may come in between.
	making sync.Mutex
}

// wanted is what a request of the distribution API touches.
type wanted struct {
	repo, part, last string // "team/app", "manifests", "v1"; part is "" for /v2/, "_catalog" for that
}

var repoForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
})

// readPath reads the paths of distribution-spec v1.1.1 §Endpoints. What it can not read is not passed on.
func readPath(path string) (w wanted, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case !ok:
		return w, false
	case rest == "":
		return w, true
	case rest == "_catalog":
		return wanted{part: rest}, true
	}
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return w, false
	}
	rest, w.last = rest[:i], rest[i+1:]
	if i = strings.LastIndexByte(rest, '/'); i < 0 {
		return w, false
	}
	w.repo, w.part = rest[:i], rest[i+1:]
	switch w.part {
	case "manifests", "blobs", "referrers":
		ok = w.last != ""
	case "tags":
		ok = w.last == "list"
	case "uploads":
		w.repo, ok = strings.CutSuffix(w.repo, "/blobs")
	default:
		ok = false
	}
	return w, ok && repoForm().MatchString(w.repo)
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := g.access.Authenticate(r)
	if err != nil {
		g.refuse(w, r, access.Principal{}, err)
		return
	}
	at, ok := readPath(r.URL.Path)
	if !ok {
		refuseV2(w, http.StatusNotFound, "NAME_UNKNOWN", "not a path of this API")
		return
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case at.part == "" && p.Name == access.Anonymous && r.Header.Get("Authorization") == "":
		// Whoever asks here wants to know how to log in; tools that have no login get a token as well.
		g.challenge(w, r)
	case at.part == "":
		g.next.ServeHTTP(w, r)
	case at.part == "_catalog":
		g.catalog(w, r, p)
	case reads && at.part != "uploads":
		g.read(w, r, p, at)
	case r.Method == http.MethodDelete && at.part != "uploads":
		g.delete(w, r, p, at)
	case r.Method == http.MethodPut && at.part == "manifests":
		g.putManifest(w, r, p, at)
	default:
		g.upload(w, r, p, at)
	}
}

func (g *gate) place(repo string) string { return g.hosts[0] + "/" + repo }

func (g *gate) may(p access.Principal, repo, write string) error {
	return g.access.Allow(p, access.Ask{Verb: verbPush, Target: g.place(repo), Write: write})
}

// read lets in who may pull, and who may push: that begins with looking.
func (g *gate) read(w http.ResponseWriter, r *http.Request, p access.Principal, at wanted) {
	err := g.access.Allow(p, access.Ask{Verb: verbPull, Source: g.place(at.repo)})
	if err != nil && g.mayWrite(p, at.repo) != nil {
		g.refuse(w, r, p, err)
		return
	}
	g.next.ServeHTTP(w, r)
}

// mayWrite is for what comes before the tag: blobs, and manifests by digest.
func (g *gate) mayWrite(p access.Principal, repo string) error {
	err := g.may(p, repo, access.Create)
	if err != nil && g.may(p, repo, access.Overwrite) == nil {
		return nil
	}
	return err
}

// upload is all of blobs' uploads. A mount that is not granted is an upload that begins.
func (g *gate) upload(w http.ResponseWriter, r *http.Request, p access.Principal, at wanted) {
	if err := g.mayWrite(p, at.repo); err != nil {
		g.refuse(w, r, p, err)
		return
	}
	query := r.URL.Query()
	if from := query.Get("from"); query.Has("mount") && r.Method == http.MethodPost {
		ask := access.Ask{Verb: verbPush, Source: g.place(from), Target: g.place(at.repo), Write: access.Mount}
		if !repoForm().MatchString(from) || g.access.Allow(p, ask) != nil {
			query.Del("mount")
			query.Del("from")
			r.URL.RawQuery = query.Encode()
		}
	}
	g.next.ServeHTTP(w, r)
}

func (g *gate) putManifest(w http.ResponseWriter, r *http.Request, p access.Principal, at wanted) {
	if err := g.mayWrite(p, at.repo); err != nil {
		g.refuse(w, r, p, err)
		return
	}
	if ref.Digest(at.last) == nil {
		g.audited(w, r, p, at, "", at.last)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, oci.MaxDocument))
	if err != nil {
		refuseV2(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "manifest larger than 4 MiB, or cut")
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	create, overwrite := g.may(p, at.repo, access.Create), g.may(p, at.repo, access.Overwrite)
	if create != nil || overwrite != nil {
		g.making.Lock()
		defer g.making.Unlock()
		switch old, err := g.now(r.Context(), at); {
		case err != nil: // whether there is one can not be told, so neither right is enough
			refuseV2(w, http.StatusServiceUnavailable, "UNKNOWN", "the storage does not answer")
			return
		case old == "" && create != nil:
			g.refuse(w, r, p, create)
			return
		case old != "" && old != string(oci.Sum(raw)) && overwrite != nil:
			g.refuse(w, r, p, overwrite)
			return
		}
	}
	old, _ := g.now(r.Context(), at)
	g.audited(w, r, p, at, old, string(oci.Sum(raw)))
}

func (g *gate) delete(w http.ResponseWriter, r *http.Request, p access.Principal, at wanted) {
	if err := g.access.Allow(p, access.Ask{Verb: verbDelete, Target: g.place(at.repo), Write: access.Delete}); err != nil {
		g.refuse(w, r, p, err)
		return
	}
	old := at.last
	if ref.Digest(at.last) != nil {
		old, _ = g.now(r.Context(), at)
	}
	g.audited(w, r, p, at, old, "")
}

// now is the digest that a tag has, "" for none. The error is the storage's.
func (g *gate) now(ctx context.Context, at wanted) (string, error) {
	s, err := g.reg.Store(ref.Repo{Host: g.hosts[0], Path: at.repo})
	if err != nil {
		return "", err
	}
	d, err := s.Resolve(ctx, at.last)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return string(d.Digest), err
}

// audited writes a change down and passes it on: nothing changes that the log does not tell of,
// whatever ends in between. What did not take effect gets a second line.
func (g *gate) audited(w http.ResponseWriter, r *http.Request, p access.Principal, at wanted, old, next string) {
	e := access.Entry{Principal: p.Name, Verb: verbPush, Target: g.place(at.repo), Old: old, New: next}
	if r.Method == http.MethodDelete {
		e.Verb = verbDelete
	}
	if ref.Digest(at.last) == nil {
		e.Target += "@" + at.last
	} else {
		e.Target += ":" + at.last
	}
	if !g.audit(r.Context(), e) {
		refuseV2(w, http.StatusServiceUnavailable, "UNKNOWN", "the audit log can not be written")
		return
	}
	c := &counter{ResponseWriter: w}
	defer func() {
		if c.status < 200 || c.status > 299 {
			e.Verb += " (not confirmed)"
			g.audit(r.Context(), e)
		}
	}()
	g.next.ServeHTTP(c, r)
}

// audit reports whether e was written. It does not end with the request.
func (g *gate) audit(ctx context.Context, e access.Entry) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditing)
	defer cancel()
	err := g.db.Tx(ctx, func(tx *sql.Tx) error { return g.access.Audit(tx, e) })
	if err != nil {
		g.config.Log.LogAttrs(ctx, slog.LevelError, "audit not written", slog.String("image", e.Target), slog.Any("err", err))
	}
	return err == nil
}

const auditing = 10 * time.Second // longest wait for the database

// catalog lists what the principal may pull (distribution's own lists everything).
func (g *gate) catalog(w http.ResponseWriter, r *http.Request, p access.Principal) {
	if p.Admin() || r.Method != http.MethodGet {
		g.next.ServeHTTP(w, r)
		return
	}
	query := r.URL.Query()
	n, err := strconv.Atoi(query.Get("n"))
	if query.Has("n") && (err != nil || n < 0) {
		refuseV2(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n is no number")
		return
	}
	if n == 0 || n > maxCatalog {
		n = maxCatalog
	}
	repos := []string{}
	err = g.reg.Repositories(r.Context(), func(path string) error {
		if path > query.Get("last") && g.access.Allow(p, access.Ask{Verb: verbPull, Source: g.place(path)}) == nil {
			repos = append(repos, path)
		}
		return nil
	})
	if err != nil {
		refuseV2(w, http.StatusServiceUnavailable, "UNKNOWN", "the storage does not answer")
		return
	}
	slices.Sort(repos) // the storage's own order puts what is below a name before what is beside it
	if len(repos) > n {
		repos = repos[:n]
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, n, url.QueryEscape(repos[len(repos)-1])))
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string][]string{"repositories": repos})
}

const maxCatalog = 1000 // repositories in one answer

// refuse answers in the words of distribution-spec v1.1.1 §Error Codes: 401 to nobody, 403
// to who is known.
func (g *gate) refuse(w http.ResponseWriter, r *http.Request, p access.Principal, err error) {
	switch {
	case !fault.Is(err, fault.Denied):
		w.Header().Set("Retry-After", "1")
		refuseV2(w, http.StatusServiceUnavailable, "UNKNOWN", "who asks can not be told now")
	case p.Name == "" || p.Name == access.Anonymous:
		g.challenge(w, r)
	default:
		refuseV2(w, http.StatusForbidden, "DENIED", causeOf(err))
	}
}

func causeOf(err error) string {
	var f *fault.Fault
	if errors.As(err, &f) && f.Err != nil {
		return f.Err.Error()
	}
	return "denied"
}

func refuseV2(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
