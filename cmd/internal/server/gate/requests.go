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
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/server/measure"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// ServeHTTP authenticates and authorizes a request to the registry, and passes it on.
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
		// A client asks here to learn how to log in. A tool without a login then gets an anonymous
		// token.
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

// read passes a read on if the principal may pull or push, because a push first checks what the
// registry already holds.
func (g *Gate) read(w http.ResponseWriter, r *http.Request, p access.Principal, at request) {
	err := g.Access.Allow(p, access.Ask{Verb: verbPull, Source: g.place(at.repo)})
	if err != nil && g.mayWrite(p, at.repo) != nil {
		g.Refuse(w, r, p, err)
		return
	}
	g.Registry.ServeHTTP(w, r)
}

// upload passes the requests of blob uploads on. A mount that the rules do not grant becomes the
// start of a normal upload.
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
	g.Registry.As(p.Name).ServeHTTP(w, r)
}

// putManifest passes a manifest on if the principal may create or replace its tag. A put by digest
// requires only one of these rights.
func (g *Gate) putManifest(w http.ResponseWriter, r *http.Request, p access.Principal, at request) {
	if err := g.mayWrite(p, at.repo); err != nil {
		g.Refuse(w, r, p, err)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(manifestTime)) // an error: w has no deadlines
	done, err := g.Memory.Body(r, p.Name, oci.MaxDocument, memory.Manifests)
	if err != nil {
		g.busy(w, err)
		return
	}
	defer done()
	if ref.Digest(at.last) == nil {
		g.audited(w, r, p, at, "", at.last)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, oci.MaxDocument))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "the manifest is larger than 4 MiB or incomplete")
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	create, overwrite := g.may(p, at.repo, access.Create), g.may(p, at.repo, access.Overwrite)
	if create != nil || overwrite != nil {
		g.createMu.Lock()
		defer g.createMu.Unlock()
		switch old, err := g.currentDigest(r.Context(), at); {
		case err != nil: // it is not known whether the tag exists, so neither right alone is enough
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

// manifestTime is the longest time that a manifest may take to arrive.
const manifestTime = time.Minute

// busy answers a request whose body is not read because of err, an error of Budget.Body.
func (g *Gate) busy(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.TooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", causeOf(err))
		return
	}
	w.Header().Set("Retry-After", "5")
	refuse(w, http.StatusServiceUnavailable, "UNKNOWN", causeOf(err))
}

// delete passes a deletion on if the principal has the right to delete.
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

// mayWrite checks the right to put what comes before a tag: blobs, and manifests by digest. The right
// to create or the right to overwrite is enough.
func (g *Gate) mayWrite(p access.Principal, repo string) error {
	err := g.may(p, repo, access.Create)
	if err != nil && g.may(p, repo, access.Overwrite) == nil {
		return nil
	}
	return err
}

// currentDigest returns the digest of a tag, or "" if the tag does not exist. An error means that the
// storage could not be read.
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

// audited writes a change to the audit log and then passes the request on. So no change is missing
// in the log, even if the process ends in between. If the change fails, a second entry says that it is
// not confirmed.
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
		refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "the audit log cannot be written")
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

// audit writes e to the audit log and reports whether that succeeded. The end of the request does not
// interrupt it.
func (g *Gate) audit(ctx context.Context, e access.Entry) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	err := g.DB.Tx(ctx, func(tx *sql.Tx) error { return g.Access.Audit(ctx, tx, e) })
	if err != nil {
		g.Log.LogAttrs(ctx, slog.LevelError, "audit not written", slog.String("image", e.Target), slog.Any("err", err))
	}
	return err == nil
}

const auditTimeout = 10 * time.Second // the longest wait for the database
