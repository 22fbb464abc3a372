package gate

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server/measure"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := g.Access.Authenticate(r)
	if err != nil {
		g.Refuse(w, r, access.Principal{}, err)
		return
	}
	at, ok := readPath(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "not a path of this API")
		return
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case at.part == "" && p.Name == access.Anonymous && r.Header.Get("Authorization") == "":
		// Whoever asks here wants to know how to log in; tools that have no login get a token as well.
		g.Challenge(w, r)
	case at.part == "":
		g.Registry.ServeHTTP(w, r)
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

// read lets in who may pull, and who may push: that begins with looking.
func (g *Gate) read(w http.ResponseWriter, r *http.Request, p access.Principal, at request) {
	err := g.Access.Allow(p, access.Ask{Verb: verbPull, Source: g.place(at.repo)})
	if err != nil && g.mayWrite(p, at.repo) != nil {
		g.Refuse(w, r, p, err)
		return
	}
	g.Registry.ServeHTTP(w, r)
}

// upload is all of blobs' uploads. A mount that is not granted is an upload that begins.
func (g *Gate) upload(w http.ResponseWriter, r *http.Request, p access.Principal, at request) {
	if err := g.mayWrite(p, at.repo); err != nil {
		g.Refuse(w, r, p, err)
		return
	}
	query := r.URL.Query()
	if from := query.Get("from"); query.Has("mount") && r.Method == http.MethodPost {
		ask := access.Ask{Verb: verbPush, Source: g.place(from), Target: g.place(at.repo), Write: access.Mount}
		if !repoForm().MatchString(from) || g.Access.Allow(p, ask) != nil {
			query.Del("mount")
			query.Del("from")
			r.URL.RawQuery = query.Encode()
		}
	}
	g.Registry.ServeHTTP(w, r)
}

func (g *Gate) putManifest(w http.ResponseWriter, r *http.Request, p access.Principal, at request) {
	if err := g.mayWrite(p, at.repo); err != nil {
		g.Refuse(w, r, p, err)
		return
	}
	if ref.Digest(at.last) == nil {
		g.audited(w, r, p, at, "", at.last)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, oci.MaxDocument))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "manifest larger than 4 MiB, or cut")
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	create, overwrite := g.may(p, at.repo, access.Create), g.may(p, at.repo, access.Overwrite)
	if create != nil || overwrite != nil {
		g.createMu.Lock()
		defer g.createMu.Unlock()
		switch old, err := g.currentDigest(r.Context(), at); {
		case err != nil: // whether there is one can not be told, so neither right is enough
			refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "the storage does not answer")
			return
		case old == "" && create != nil:
			g.Refuse(w, r, p, create)
			return
		case old != "" && old != string(oci.Sum(raw)) && overwrite != nil:
			g.Refuse(w, r, p, overwrite)
			return
		}
	}
	old, _ := g.currentDigest(r.Context(), at)
	g.audited(w, r, p, at, old, string(oci.Sum(raw)))
}

func (g *Gate) delete(w http.ResponseWriter, r *http.Request, p access.Principal, at request) {
	if err := g.Access.Allow(p, access.Ask{Verb: verbDelete, Target: g.place(at.repo), Write: access.Delete}); err != nil {
		g.Refuse(w, r, p, err)
		return
	}
	old := at.last
	if ref.Digest(at.last) != nil {
		old, _ = g.currentDigest(r.Context(), at)
	}
	g.audited(w, r, p, at, old, "")
}

// mayWrite is for what comes before the tag: blobs, and manifests by digest.
func (g *Gate) mayWrite(p access.Principal, repo string) error {
	err := g.may(p, repo, access.Create)
	if err != nil && g.may(p, repo, access.Overwrite) == nil {
		return nil
	}
	return err
}

// currentDigest is the digest that a tag has, "" for none. The error is the storage's.
func (g *Gate) currentDigest(ctx context.Context, at request) (string, error) {
	s, err := g.Registry.Store(ref.Repo{Host: g.Host, Path: at.repo})
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
func (g *Gate) audited(w http.ResponseWriter, r *http.Request, p access.Principal, at request, old, next string) {
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
		refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "the audit log can not be written")
		return
	}
	c := &measure.Answer{ResponseWriter: w}
	defer func() {
		if c.Status < 200 || c.Status > 299 {
			e.Verb += " (not confirmed)"
			g.audit(r.Context(), e)
		}
	}()
	g.Registry.ServeHTTP(c, r)
}

// audit reports whether e was written. It does not end with the request.
func (g *Gate) audit(ctx context.Context, e access.Entry) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	err := g.DB.Tx(ctx, func(tx *sql.Tx) error { return g.Access.Audit(tx, e) })
	if err != nil {
		g.Log.LogAttrs(ctx, slog.LevelError, "audit not written", slog.String("image", e.Target), slog.Any("err", err))
	}
	return err == nil
}

const auditTimeout = 10 * time.Second // longest wait for the database
