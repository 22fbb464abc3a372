package relay

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	maxTags      = 1000        // tags in one answer
	manifestTime = time.Minute // the longest time that a manifest may take to arrive
)

// target is what a path of the distribution API names.
type target struct{ repo, part, last string }

// v2 answers a request of the distribution API: distribution-spec v1.1.1 §Endpoints.
func (h *handler) v2(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	p, err := h.Access.Authenticate(r)
	switch {
	case err != nil && !fault.Is(err, fault.Denied):
		acr.Fail(w, err)
		return
	case err != nil:
		h.challenge(w, r, fault.HintOf(err))
		return
	}
	rest := strings.TrimPrefix(r.URL.Path, "/v2/")
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case (rest == "" || rest == "_catalog") && p.Via == access.ViaNothing && r.Header.Get("Authorization") == "":
		h.challenge(w, r, "") // a client asks here to learn how to log in
		return
	case rest == "" && reads:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}") // an error means that the client has gone
		return
	case rest == "_catalog" && r.Method == http.MethodGet:
		r = r.Clone(r.Context())
		r.URL.Path = acr.Prefix + rest
		data := acr.Config{Access: h.Access, Audit: h.Audit, Memory: h.Memory, PublicURL: h.PublicURL}
		acr.New(data, h.host, h.shelf).ServeHTTP(w, r)
		return
	}
	at, ok := parse(rest)
	if _, err := ref.NewRepo(h.host, at.repo); err != nil || !ok {
		acr.Refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "not a path of this API")
		return
	}
	switch {
	case at.part == "tags" && r.Method == http.MethodGet:
		h.tags(w, r, p, at)
	case at.part == "referrers" && r.Method == http.MethodGet:
		h.referrers(w, r, p, at)
	case reads && at.part != "uploads":
		h.read(w, r, p, at)
	case at.part == "manifests" && r.Method == http.MethodPut:
		h.putManifest(w, r, p, at)
	case (at.part == "manifests" || at.part == "blobs") && r.Method == http.MethodDelete:
		h.remove(w, r, p, at)
	case at.part == "uploads":
		h.upload(w, r, p, at)
	default:
		acr.Refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "dray does not have this operation")
	}
}

// parse reads a path below /v2/. Names of repositories are not checked.
func parse(rest string) (t target, ok bool) {
	segments := strings.Split(rest, "/")
	n := len(segments)
	if n < 3 {
		return t, false
	}
	t = target{strings.Join(segments[:n-2], "/"), segments[n-2], segments[n-1]}
	switch t.part {
	case "manifests":
		return t, ref.Digest(t.last) == nil || ref.Tag(t.last) == nil
	case "blobs", "referrers":
		return t, ref.Digest(t.last) == nil
	case "tags":
		return t, t.last == "list"
	case "uploads":
		t.repo, ok = strings.CutSuffix(t.repo, "/blobs")
		return t, ok
	}
	return t, false
}

// mayRead reports whether p may pull or push, because a push first checks what the registry already holds.
func (h *handler) mayRead(w http.ResponseWriter, r *http.Request, p access.Principal, repo string) bool {
	return h.allowed(w, r, p, access.Ask{Verb: verbPull, Source: h.place(repo)},
		h.push(repo, access.Create), h.push(repo, access.Overwrite))
}

func (h *handler) push(repo, right string) access.Ask {
	return access.Ask{Verb: verbPush, Target: h.place(repo), Write: right}
}

// read passes on a pull. The registry's redirect to the storage of a blob is followed here.
func (h *handler) read(w http.ResponseWriter, r *http.Request, p access.Principal, at target) {
	if !h.mayRead(w, r, p, at.repo) {
		return
	}
	headers := kept(r.Header, "Accept", "Range", "If-None-Match")
	if accept := headers.Get("Accept"); at.part == "manifests" && (accept == "" || strings.Contains(accept, "*/*")) {
		// Some registries answer 404 or another document if Accept does not name the type.
		headers["Accept"] = []string{oci.TypeIndex, oci.TypeManifest, oci.TypeDockerList, oci.TypeDockerManifest, "*/*"}
	}
	h.pass(w, r, h.open(at.repo, remote.Pull), remote.Passed{
		Method: r.Method, Tail: "/" + at.part + "/" + at.last, Query: query(r, "artifactType", "last", "n"), Header: headers,
	}, nil)
}

// pass sends a request to the registry and its answer to the client. told is called with the answer before the client
// gets it; nil does nothing.
func (h *handler) pass(
	w http.ResponseWriter, r *http.Request, repo *remote.Repository, p remote.Passed, told func(*remote.Passage),
) (ok bool) {
	a, err := repo.Pass(r.Context(), p)
	if err != nil {
		fail(w, err)
		return false
	}
	defer a.Body.Close()
	if told != nil {
		told(a)
	}
	maps.Copy(w.Header(), kept(a.Header, "Content-Type", "Content-Range", "Accept-Ranges", "Docker-Content-Digest",
		"Docker-Upload-UUID", "Range", "ETag", "OCI-Subject", "OCI-Filters-Applied", "OCI-Chunk-Min-Length", "Retry-After"))
	if a.Length >= 0 && a.Status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.FormatInt(a.Length, 10))
	}
	w.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		_, err = io.Copy(w, a.Body)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // closes the connection, so that the client sees an answer that is cut off
	}
	return a.Status < 300
}

// fail answers a request that the registry did not answer, or that it refused to the login of the server.
func fail(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.Denied) {
		acr.Refuse(w, http.StatusForbidden, "DENIED", "the registry refuses the login of this server; "+fault.HintOf(err))
		return
	}
	acr.Fail(w, err)
}

// tags answers with one page of the tags of a repository.
func (h *handler) tags(w http.ResponseWriter, r *http.Request, p access.Principal, at target) {
	if !h.mayRead(w, r, p, at.repo) {
		return
	}
	names := []string{}
	last, n := r.URL.Query().Get("last"), maxTags
	if asked, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && asked > 0 {
		n = min(asked, n)
	}
	err := h.open(at.repo, remote.Pull).List(r.Context(), func(t oci.Listed) error {
		if t.Tag > last {
			names = append(names, t.Tag)
		}
		return nil
	})
	if err != nil {
		fail(w, err)
		return
	}
	if slices.Sort(names); len(names) > n {
		names = names[:n]
		q := url.Values{"last": {names[n-1]}, "n": {strconv.Itoa(n)}}
		w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+`>; rel="next"`)
	}
	acr.Answer(w, http.StatusOK, map[string]any{"name": at.repo, "tags": names})
}

// referrers answers with what refers to a manifest, also if the registry lists it under a tag alone
// (distribution-spec v1.1.1 §Listing referrers).
func (h *handler) referrers(w http.ResponseWriter, r *http.Request, p access.Principal, at target) {
	if !h.mayRead(w, r, p, at.repo) {
		return
	}
	all, err := h.open(at.repo, remote.Pull).Referrers(r.Context(), oci.Descriptor{Digest: oci.Digest(at.last)})
	if err != nil {
		fail(w, err)
		return
	}
	if of := r.URL.Query().Get("artifactType"); of != "" {
		all = slices.DeleteFunc(all, func(d oci.Descriptor) bool { return d.ArtifactType != of })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if all == nil {
		all = []oci.Descriptor{} // "manifests" must be a list, never null
	}
	index := map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": all}
	acr.AnswerAs(w, http.StatusOK, oci.TypeIndex, index)
}

// putManifest passes a manifest on if the principal may create or replace its tag. A put by digest requires only one of
// these rights.
func (h *handler) putManifest(w http.ResponseWriter, r *http.Request, p access.Principal, at target) {
	if !h.allowed(w, r, p, h.push(at.repo, access.Create), h.push(at.repo, access.Overwrite)) {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(manifestTime)) // an error: w has no deadlines
	done, err := h.Memory.Body(r, p.Name, oci.MaxDocument, memory.Manifests)
	if err != nil {
		acr.Fail(w, err)
		return
	}
	defer done()
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, oci.MaxDocument))
	if err != nil {
		acr.Refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "the manifest is larger than 4 MiB or incomplete")
		return
	}
	repo, old, sum := h.open(at.repo, remote.Push), "", string(oci.Sum(raw))
	if ref.Digest(at.last) != nil {
		tag := at.repo + ":" + at.last
		if err := h.puts.Lock(r.Context(), tag); err != nil { // the client has gone
			return
		}
		defer h.puts.Unlock(tag)
		d, err := repo.Resolve(r.Context(), at.last)
		if err != nil && !fault.Is(err, fault.NotFound) {
			fail(w, err)
			return
		}
		old = string(d.Digest)
		right := access.Create
		if old != "" {
			right = access.Overwrite
		}
		if old != sum && !h.allowed(w, r, p, h.push(at.repo, right)) {
			return
		}
	}
	h.audited(w, r, p, verbPush, at, [2]string{old, sum}, func() bool {
		return h.pass(w, r, repo, remote.Passed{
			Method: http.MethodPut, Tail: "/manifests/" + at.last, Header: kept(r.Header, "Content-Type"),
			Body: bytes.NewReader(raw), Size: int64(len(raw)),
		}, h.located(w, at, "/manifests/"+at.last))
	})
}

// located returns a function that sets the address of what was created: one of this server, not that of the registry.
func (h *handler) located(w http.ResponseWriter, at target, tail string) func(*remote.Passage) {
	return func(a *remote.Passage) {
		if a.Status == http.StatusCreated {
			w.Header().Set("Location", "/v2/"+at.repo+tail)
		}
	}
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request, p access.Principal, at target) {
	if !h.allowed(w, r, p, access.Ask{Verb: verbDelete, Target: h.place(at.repo), Write: access.Delete}) {
		return
	}
	repo, old := h.open(at.repo, remote.Push), at.last
	if ref.Digest(at.last) != nil {
		d, err := repo.Resolve(r.Context(), at.last)
		if err != nil {
			fail(w, err)
			return
		}
		old = string(d.Digest)
	}
	h.audited(w, r, p, verbDelete, at, [2]string{old, ""}, func() bool {
		return h.pass(w, r, repo, remote.Passed{Method: http.MethodDelete, Tail: "/" + at.part + "/" + at.last}, nil)
	})
}

// audited writes a change to the audit log and makes it, see acr. change answers the request.
func (h *handler) audited(
	w http.ResponseWriter, r *http.Request, p access.Principal, verb string, at target, digests [2]string,
	change func() bool,
) {
	e := access.Entry{Principal: p.Name, Verb: verb, Target: h.place(at.repo), Old: digests[0], New: digests[1]}
	if ref.Digest(at.last) == nil {
		e.Target += "@" + at.last
	} else {
		e.Target += ":" + at.last
	}
	if err := h.Audit(r.Context(), e); err != nil {
		acr.Fail(w, &fault.Fault{Kind: fault.Unavailable, Op: "write audit log", Err: err})
		return
	}
	if !change() {
		e.Verb += " (not confirmed)"
		_ = h.Audit(r.Context(), e) // the first entry is there
	}
}

// uploading are the methods of an upload: distribution-spec v1.1.1 §Endpoints, and DELETE, which cancels it.
var uploading = []string{
	http.MethodPost, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPut, http.MethodDelete,
}

// upload passes on what belongs to the upload of a blob. The client gets an address of this server, which contains that
// of the registry, sealed. A mount that the rules do not grant becomes the start of a normal upload.
func (h *handler) upload(w http.ResponseWriter, r *http.Request, p access.Principal, at target) {
	if !h.allowed(w, r, p, h.push(at.repo, access.Create), h.push(at.repo, access.Overwrite)) {
		return
	}
	sent := remote.Passed{
		Method: r.Method, Query: query(r, "digest"), Header: kept(r.Header, "Content-Type", "Content-Range"),
	}
	switch begins := r.Method == http.MethodPost; {
	case begins != (at.last == "") || !slices.Contains(uploading, r.Method):
		// Some registries mount a blob also at the address of an upload, and some proxies answer TRACE with the login.
		acr.Refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "an upload does not have this operation")
		return
	case begins:
		sent.Tail = "/blobs/uploads/"
		if h.mounts(p, at.repo, r.URL.Query().Get("from")) {
			sent.Query = query(r, "digest", "mount", "from")
		}
	default:
		sealed, err := base64.RawURLEncoding.DecodeString(at.last)
		var plain []byte
		if err == nil {
			plain, err = h.Open(sealed, h.sealedFor(p, at.repo))
		}
		if err != nil {
			acr.Refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN",
				"there is no such upload, or it belongs to another principal")
			return
		}
		sent.Upload = string(plain)
	}
	if r.Method != http.MethodGet && r.ContentLength != 0 {
		sent.Body, sent.Size = r.Body, r.ContentLength
	}
	h.pass(w, r, h.open(at.repo, remote.Push), sent, func(a *remote.Passage) {
		h.located(w, at, "/blobs/"+cmp.Or(sent.Query.Get("digest"), sent.Query.Get("mount")))(a)
		if a.Upload == "" {
			return
		}
		sealed, err := h.Seal([]byte(a.Upload), h.sealedFor(p, at.repo))
		if err != nil { // the client cannot go on, and begins again
			return
		}
		w.Header().Set("Location", "/v2/"+at.repo+"/blobs/uploads/"+base64.RawURLEncoding.EncodeToString(sealed))
	})
}

// mounts reports whether the rules grant to mount a blob of the repository from.
func (h *handler) mounts(p access.Principal, repo, from string) bool {
	if _, err := ref.NewRepo(h.host, from); err != nil {
		return false
	}
	ask := access.Ask{Verb: verbPush, Source: h.place(from), Target: h.place(repo), Write: access.Mount}
	return h.Access.Allow(p, ask) == nil
}
