package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/registry/answer"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/index"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/ref"
)

// everyType lists all media types that the registry serves at /manifests/.
const everyType = v1.MediaTypeImageIndex + ", " + v1.MediaTypeImageManifest + ", " +
	manifestlist.MediaTypeManifestList + ", " + schema2.MediaTypeManifest

// maxWait is how long a request waits until the content may be changed. Clients and proxies often wait
// for a minute.
const maxWait = 30 * time.Second

// ServeHTTP serves all paths below /v2/.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.serve(w, req, "") }

// As returns the handler for the requests of a principal. The uploads that it begins count against its limits, see
// Options.Unfinished.
func (r *Registry) As(principal string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, principal) })
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request, principal string) {
	if !r.enter() {
		http.Error(w, "the registry is closing", http.StatusServiceUnavailable)
		return
	}
	defer r.running.Done()

	ctx, watched := backing.Watch(req.Context())
	defer watched.End()
	req = req.Clone(ctx) // its body and its Accept header are changed below
	// distribution looks for parameters in a form in the body first. Here a body is always
	// content, and a handler in front of this one checks only the query. So the query is the form.
	req.Form = req.URL.Query()
	a := &answer.Answer{ResponseWriter: w, Why: watched.Why}
	defer r.unwritten(a, req)

	switch req.Method {
	case http.MethodPost, http.MethodPut, http.MethodDelete: // what PATCH writes belongs to no repository yet
		ctx, cancel := context.WithTimeout(req.Context(), maxWait)
		done, err := r.writes(ctx)
		cancel()
		if err != nil {
			a.Header().Set("Retry-After", "10")
			answer.Refuse(a, http.StatusServiceUnavailable, errcode.ErrorCodeUnavailable.WithDetail(err.Error()))
			return
		}
		defer done()
	}

	repo, part, last := split(req.URL.Path)
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	if repo != nil && !r.unlocked(a, req, repo, part, last) {
		return
	}
	switch {
	case reads && (part == "tags" && last == "list" || req.URL.Path == catalogPath):
		r.list(a, req, repo)
	case repo == nil:
		r.app.ServeHTTP(a, req)
	case part == "referrers":
		r.referrers(a, req, repo, last)
	case part == "uploads" && !reads:
		r.upload(a, req, tend.Upload{Repo: strings.TrimSuffix(repo.Name(), "/blobs"), ID: last, Owner: principal})
	case part == "manifests" && req.Method == http.MethodPut:
		if r.hasRoom(a, 0) {
			r.putManifest(a, req, repo, last)
		}
	case part == "manifests" && req.Method == http.MethodDelete:
		r.deleteManifest(a, req, repo, last)
	case part == "manifests" && reads && takesAnything(req.Header):
		// distribution would answer 404 if Accept does not name the type.
		req.Header.Set("Accept", everyType)
		r.app.ServeHTTP(a, req)
	default:
		r.app.ServeHTTP(a, req)
	}
}

// putManifest records the subject of a manifest before it stores the manifest. So a manifest that
// exists can always be found by its subject, even after a crash. A record without its manifest is
// not listed and does no harm.
//
// distribution-spec v1.1.1 §Pushing manifests with subject.
func (r *Registry) putManifest(a *answer.Answer, req *http.Request, repo reference.Named, last string) {
	raw, err := io.ReadAll(http.MaxBytesReader(a, req.Body, maxManifest))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		answer.Refuse(a, http.StatusRequestEntityTooLarge,
			errcode.ErrorCodeManifestInvalid.WithMessage("manifest larger than 4 MiB"))
		return
	case err != nil: // the client has disconnected
		answer.Refuse(a, http.StatusBadRequest, errcode.ErrorCodeManifestInvalid.WithDetail(err.Error()))
		return
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))

	link, err := index.LinkOf(repo, req.Header.Get("Content-Type"), raw)
	if err == nil {
		err = checkVersion(raw)
	}
	if err != nil {
		answer.Refuse(a, http.StatusBadRequest, errcode.ErrorCodeManifestInvalid.WithDetail(err.Error()))
		return
	}
	whole, manifest := nameKey(repo, ""), nameKey(repo, digest.FromBytes(raw).String())
	if err := r.names.Share(req.Context(), whole); err != nil {
		r.fail(a, req, err)
		return
	}
	defer r.names.Unlock(whole)
	if err := r.names.Share(req.Context(), manifest); err != nil {
		r.fail(a, req, err)
		return
	}
	defer r.names.Unlock(manifest)
	store := func() {
		if err := r.names.Share(req.Context(), nameKey(repo, last)); err != nil {
			r.fail(a, req, err)
			return
		}
		defer r.names.Unlock(nameKey(repo, last))
		if err := r.mayPush(req.Context(), repo.Name(), last); err != nil {
			r.fail(a, req, err)
			return
		}
		r.app.ServeHTTP(a, req)
	}
	if link == nil {
		store()
		return
	}
	a.Created = func(h http.Header) { h.Set("OCI-Subject", link.Subject.String()) }
	if err := r.index.Put(req.Context(), link, store); err != nil {
		r.fail(a, req, err)
	}
}

// checkVersion refuses a schemaVersion for which distribution would answer 500. It accepts text
// that is not JSON, because distribution refuses that itself.
func checkVersion(raw []byte) error {
	var m struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(raw, &m); err == nil && m.SchemaVersion != 2 {
		return fmt.Errorf("schemaVersion is %d, but it must be 2", m.SchemaVersion)
	}
	return nil
}

// deleteManifest deletes a manifest, its tags, and its entry in the referrers of its subject; or a tag, if last is one.
func (r *Registry) deleteManifest(a *answer.Answer, req *http.Request, repo reference.Named, last string) {
	dgst, err := digest.Parse(last)
	there := true
	switch {
	case err == nil:
		there, err = r.index.Has(req.Context(), repo, dgst)
		if err == nil && there {
			err = r.remove(req.Context(), repo, dgst)
		}
	case ref.Tag(last) == nil:
		err = r.deleteTag(req.Context(), repo, last)
	default:
		r.app.ServeHTTP(a, req)
		return
	}
	var noTag distribution.ErrTagUnknown
	switch {
	case errors.Is(err, distribution.ErrBlobUnknown) || errors.As(err, &noTag) || err == nil && !there:
		answer.Refuse(a, http.StatusNotFound, errcode.ErrorCodeManifestUnknown.WithDetail(last))
	case err != nil:
		r.fail(a, req, err)
	default:
		a.WriteHeader(http.StatusAccepted)
	}
}

// split parses "/v2/<repo>/<part>/<last>". repo is nil if the path has another form; distribution
// decides about such paths.
func split(path string) (repo reference.Named, part, last string) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	i := strings.LastIndexByte(rest, '/')
	if !ok || i < 0 {
		return nil, "", ""
	}
	rest, last = rest[:i], rest[i+1:]
	i = strings.LastIndexByte(rest, '/')
	if i < 0 {
		return nil, "", ""
	}
	repo, err := reference.WithName(rest[:i])
	if err != nil {
		return nil, "", ""
	}
	return repo, rest[i+1:], last
}

// takesAnything reports whether a request accepts all media types: it has no Accept header, or
// "*/*" as curl sends it.
func takesAnything(h http.Header) bool {
	all := strings.Join(h.Values("Accept"), ",")
	return all == "" || strings.Contains(all, "*/*")
}

// referrers answers GET /v2/<repo>/referrers/<digest> with 200 and an image index. The index is
// empty if there are no referrers (distribution-spec v1.1.1 §Listing referrers).
func (r *Registry) referrers(w *answer.Answer, req *http.Request, repo reference.Named, last string) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answer.Refuse(w, http.StatusMethodNotAllowed, errcode.ErrorCodeUnsupported)
		return
	}
	subject, err := digest.Parse(last)
	if err != nil {
		answer.Refuse(w, http.StatusBadRequest, errcode.ErrorCodeDigestInvalid.WithDetail(last))
		return
	}
	query := req.URL.Query()
	artifactType := query.Get("artifactType")
	page, next, err := r.index.List(req.Context(), repo, subject, artifactType, query.Get("last"))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	if artifactType != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if next != "" {
		query.Set("last", next)
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/referrers/%s?%s>; rel="next"`, repo.Name(), subject, query.Encode()))
	}
	if page == nil {
		page = []v1.Descriptor{} // "manifests" must be a list, never null
	}
	w.Header().Set("Content-Type", v1.MediaTypeImageIndex)
	list := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: page}
	_ = json.NewEncoder(w).Encode(list) // fails only if the client has gone
}
