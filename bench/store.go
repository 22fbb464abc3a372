package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// keeping says what a store does with the bytes of blobs.
type keeping string

const (
	keep  keeping = "mem"  // keeps them
	check keeping = "hash" // verifies and discards them
	trust keeping = "sink" // discards them without verification, so that only the tool limits the speed
)

// store is a registry in memory. It has the part of the distribution API that the tools use.
// An interrupted upload keeps what arrived.
type store struct {
	keeping keeping
	bulk    bool // it has ACR's list of tags
	refers  bool // it has the referrers API
	sparse  bool // it accepts an index whose images are not all there

	mu       sync.Mutex
	blobs    map[string]blob // by repository@digest
	docs     map[string]doc  // by repository@digest
	tags     map[string]map[string]string
	about    map[string][]descriptor // what refers to a document, by repository@digest
	sessions map[string]*session
}

type blob struct {
	data []byte // nil unless the bytes are kept
	size int64
}

type doc struct {
	raw  []byte
	kind string
}

// session is an upload. Its lock is held while a request adds to it.
type session struct {
	mu   sync.Mutex
	sum  hash.Hash // nil with trust
	data bytes.Buffer
	n    int64
}

func newStore(k keeping) *store {
	return &store{
		keeping:  k,
		blobs:    map[string]blob{},
		docs:     map[string]doc{},
		tags:     map[string]map[string]string{},
		about:    map[string][]descriptor{},
		sessions: map[string]*session{},
	}
}

// endpoint is the meaning of a path: its kind, the repository and the last part.
type endpoint struct{ kind, repo, ref string }

func parse(path string) endpoint {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case strings.HasPrefix(path, "/acr/v1/") && strings.HasSuffix(path, "/_tags"):
		return endpoint{"bulk list", strings.TrimSuffix(strings.TrimPrefix(path, "/acr/v1/"), "/_tags"), ""}
	case rest == "" && ok:
		return endpoint{kind: "ping"}
	case rest == "_catalog":
		return endpoint{kind: "catalog"}
	case !ok:
		return endpoint{kind: "other"}
	}
	for _, k := range []struct{ infix, kind string }{
		{"/blobs/uploads/", "upload"},
		{"/blobs/", "blob"},
		{"/manifests/", "manifest"},
		{"/tags/", "list"},
		{"/referrers/", "referrers"},
	} {
		if i := strings.LastIndex(rest, k.infix); i > 0 {
			return endpoint{k.kind, rest[:i], rest[i+len(k.infix):]}
		}
	}
	return endpoint{kind: "other"}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := parse(r.URL.Path)
	switch {
	case e.kind == "ping":
		w.WriteHeader(http.StatusOK)
	case e.kind == "catalog":
		s.catalog(w)
	case e.kind == "list":
		s.list(w, r, e.repo)
	case e.kind == "bulk list" && s.bulk:
		s.listDigests(w, r, e.repo)
	case e.kind == "manifest" && r.Method == http.MethodPut:
		s.putManifest(w, r, e)
	case e.kind == "manifest":
		s.manifest(w, r, e)
	case e.kind == "blob":
		s.blob(w, r, e)
	case e.kind == "upload":
		s.upload(w, r, e)
	case e.kind == "referrers" && s.refers:
		s.referrers(w, e)
	default:
		refuse(w, http.StatusNotFound, "UNSUPPORTED")
	}
}

func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, text, strings.ToLower(text))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *store) catalog(w http.ResponseWriter) {
	s.mu.Lock()
	repos := sorted(s.tags)
	s.mu.Unlock()
	answer(w, map[string]any{"repositories": repos})
}

// page returns n tags of a repository after last. next is the query of the following page, or "".
func (s *store) page(r *http.Request, repo string) (names []string, digests map[string]string, next string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digests = map[string]string{}
	maps.Copy(digests, s.tags[repo])
	names = sorted(digests)
	if last := r.URL.Query().Get("last"); last != "" {
		i, found := slices.BinarySearch(names, last)
		if found {
			i++
		}
		names = names[i:]
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && n > 0 && n < len(names) {
		names = names[:n]
		next = "?" + url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}}.Encode()
	}
	return names, digests, next
}

func (s *store) list(w http.ResponseWriter, r *http.Request, repo string) {
	names, digests, next := s.page(r, repo)
	if len(digests) == 0 {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	if next != "" {
		w.Header().Set("Link", "<"+r.URL.Path+next+`>; rel="next"`)
	}
	answer(w, map[string]any{"name": repo, "tags": names})
}

// listDigests is GET /acr/v1/NAME/_tags of Azure's registries.
func (s *store) listDigests(w http.ResponseWriter, r *http.Request, repo string) {
	names, digests, next := s.page(r, repo)
	if next != "" {
		w.Header().Set("Link", "<"+r.URL.Path+next+`>; rel="next"`)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := []map[string]any{}
	for _, t := range names {
		rows = append(rows, map[string]any{
			"name":           t,
			"digest":         digests[t],
			"createdTime":    at,
			"lastUpdateTime": at,
			"signed":         false,
		})
	}
	answer(w, map[string]any{"registry": r.Host, "imageName": repo, "tags": rows})
}

func (s *store) manifest(w http.ResponseWriter, r *http.Request, e endpoint) {
	s.mu.Lock()
	digest := e.ref
	if !strings.Contains(digest, ":") {
		digest = s.tags[e.repo][e.ref]
	}
	d, ok := s.docs[e.repo+"@"+digest]
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", d.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(d.raw)))
	w.Header().Set("Docker-Content-Digest", digest)
	if r.Method != http.MethodHead {
		_, _ = w.Write(d.raw)
	}
}

func (s *store) putManifest(w http.ResponseWriter, r *http.Request, e endpoint) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID")
		return
	}
	digest := digestOf(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts manifest
	if err := json.Unmarshal(raw, &parts); err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID")
		return
	}
	for _, b := range parts.blobs() {
		if got, ok := s.blobs[e.repo+"@"+b.Digest]; !ok || got.size != b.Size {
			refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN")
			return
		}
	}
	for _, m := range parts.Manifests {
		if _, ok := s.docs[e.repo+"@"+m.Digest]; !ok && !s.sparse {
			refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN")
			return
		}
	}
	s.docs[e.repo+"@"+digest] = doc{raw, cmp.Or(r.Header.Get("Content-Type"), parts.MediaType)}
	if s.tags[e.repo] == nil {
		s.tags[e.repo] = map[string]string{}
	}
	if !strings.Contains(e.ref, ":") {
		s.tags[e.repo][e.ref] = digest
	}
	if parts.Subject != nil && s.refers {
		s.refer(e.repo, parts, digest, int64(len(raw)))
		w.Header().Set("OCI-Subject", parts.Subject.Digest)
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+e.repo+"/manifests/"+digest)
	w.WriteHeader(http.StatusCreated)
}

// refer lists a document below its subject. The caller holds s.mu.
func (s *store) refer(repo string, m manifest, digest string, size int64) {
	subject := repo + "@" + m.Subject.Digest
	listed := func(d descriptor) bool { return d.Digest == digest }
	if !slices.ContainsFunc(s.about[subject], listed) {
		s.about[subject] = append(s.about[subject],
			descriptor{MediaType: m.MediaType, Digest: digest, Size: size, ArtifactType: m.ArtifactType})
	}
}

func (s *store) referrers(w http.ResponseWriter, e endpoint) {
	s.mu.Lock()
	all := append([]descriptor{}, s.about[e.repo+"@"+e.ref]...)
	s.mu.Unlock()
	w.Header().Set("Content-Type", kindIndex)
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": kindIndex, "manifests": all})
}

func (s *store) blob(w http.ResponseWriter, r *http.Request, e endpoint) {
	s.mu.Lock()
	b, ok := s.blobs[e.repo+"@"+e.ref]
	s.mu.Unlock()
	if !ok || (b.data == nil && r.Method != http.MethodHead) {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", e.ref)
	if r.Method == http.MethodHead {
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", strconv.FormatInt(b.size, 10))
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.data))
}

// upload implements distribution-spec v1.1.1 §Pushing blobs.
func (s *store) upload(w http.ResponseWriter, r *http.Request, e endpoint) {
	q := r.URL.Query()
	if r.Method == http.MethodPost {
		if s.mount(w, e.repo, q) {
			return
		}
		e.ref = rand.Text()
		u := &session{}
		if s.keeping != trust {
			u.sum = sha256.New()
		}
		s.mu.Lock()
		s.sessions[e.ref] = u
		s.mu.Unlock()
		if q.Get("digest") == "" {
			told(w, e, u, http.StatusAccepted)
			return
		}
	}
	s.mu.Lock()
	u := s.sessions[e.ref]
	s.mu.Unlock()
	if u == nil {
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN")
		return
	}
	u.mu.Lock() // a request whose connection broke may not have ended yet
	defer u.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		told(w, e, u, http.StatusNoContent)
	case http.MethodDelete:
		s.forget(e.ref)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.add(w, r, e, u)
	}
}

func (s *store) mount(w http.ResponseWriter, repo string, q url.Values) bool {
	digest := q.Get("mount")
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[q.Get("from")+"@"+digest]
	if digest == "" || !ok {
		return false
	}
	s.blobs[repo+"@"+digest] = b
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
	return true
}

func told(w http.ResponseWriter, e endpoint, u *session, code int) {
	w.Header().Set("Location", "/v2/"+e.repo+"/blobs/uploads/"+e.ref)
	w.Header().Set("Docker-Upload-UUID", e.ref)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(u.n-1, 0)))
	w.WriteHeader(code)
}

func (s *store) forget(id string) {
	s.mu.Lock()
	delete(s.sessions, id)
	s.mu.Unlock()
}

func (s *store) add(w http.ResponseWriter, r *http.Request, e endpoint, u *session) {
	if from, _, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "-"); ok {
		if at, err := strconv.ParseInt(from, 10, 64); err != nil || at != u.n {
			told(w, e, u, http.StatusRequestedRangeNotSatisfiable)
			return
		}
	}
	if err := s.receive(u, r.Body); err != nil {
		refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID")
		return
	}
	digest := r.URL.Query().Get("digest")
	if r.Method == http.MethodPatch || digest == "" {
		told(w, e, u, http.StatusAccepted)
		return
	}
	s.forget(e.ref)
	if u.sum != nil && "sha256:"+hex.EncodeToString(u.sum.Sum(nil)) != digest {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
		return
	}
	b := blob{size: u.n}
	if s.keeping == keep {
		b.data = u.data.Bytes()
	}
	s.mu.Lock()
	s.blobs[e.repo+"@"+digest] = b
	s.mu.Unlock()
	w.Header().Set("Location", "/v2/"+e.repo+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

// receive adds a body to the session. If the body breaks, the bytes before that stay.
func (s *store) receive(u *session, body io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		u.n += int64(n)
		if u.sum != nil {
			u.sum.Write(buf[:n])
		}
		if s.keeping == keep {
			u.data.Write(buf[:n])
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
