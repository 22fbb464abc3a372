package hollow

import (
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/testbed"
)

// Sink is a registry that hashes what it receives and discards it, for tests of memory and speed.
// It keeps manifests, and the digests and sizes of blobs: it answers HEAD of a blob, but not GET.
// It supports sha256 only, mounts blobs that it has seen in any repository, and refuses manifests
// whose blobs or children it has not seen.
type Sink struct {
	tb testing.TB

	mu        sync.Mutex
	sessions  map[string]*session
	blobs     map[string]int64 // "repo@digest" to size
	manifests map[string]kept  // by "repo@digest" and "repo:tag"
	bytes     int64
}

type session struct {
	mu   sync.Mutex
	hash hash.Hash
	size int64
}

type kept struct {
	mediaType string
	raw       []byte
}

// NewSink returns an empty Sink. It answers 400 to a blob that does not match its digest, and
// reports it with tb.Logf.
func NewSink(tb testing.TB) *Sink {
	tb.Helper()
	return &Sink{tb: tb, sessions: map[string]*session{}, blobs: map[string]int64{}, manifests: map[string]kept{}}
}

// Bytes returns how many bytes of blobs were committed.
func (s *Sink) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Blobs returns how many blobs repo has.
func (s *Sink) Blobs(repo string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for name := range s.blobs {
		if strings.HasPrefix(name, repo+"@") {
			n++
		}
	}
	return n
}

func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := testbed.Parse(r.URL.Path)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case e.Kind == testbed.Ping:
		w.WriteHeader(http.StatusOK)
	case e.Kind == testbed.Upload && r.Method == http.MethodPost:
		s.start(w, r, e)
	case e.Kind == testbed.Upload && e.Ref != "":
		s.upload(w, r, e)
	case e.Kind == testbed.Blob && r.Method == http.MethodHead:
		s.head(w, e)
	case e.Kind == testbed.Manifest && r.Method == http.MethodPut:
		s.put(w, r, e)
	case e.Kind == testbed.Manifest && read:
		s.manifest(w, e)
	case e.Kind == testbed.Tags && read:
		s.tags(w, e)
	default:
		testbed.Refuse(w, http.StatusNotFound, "UNSUPPORTED", "a sink does not store this")
	}
}

// start mounts a blob or opens an upload. distribution-spec v1.1.1 §Mounting a blob from another
// repository allows a registry to ignore from.
func (s *Sink) start(w http.ResponseWriter, r *http.Request, e testbed.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := r.URL.Query().Get("mount")
	if size, ok := s.blobs[r.URL.Query().Get("from")+"@"+d]; ok {
		s.blobs[e.Repo+"@"+d] = size
		created(w, "/v2/"+e.Repo+"/blobs/"+d, d)
		return
	}
	id := strconv.Itoa(len(s.sessions) + 1)
	s.sessions[e.Repo+"/"+id] = &session{hash: digest.Canonical.Hash()}
	w.Header().Set("Location", "/v2/"+e.Repo+"/blobs/uploads/"+id)
	w.Header().Set("Range", "0-0")
	w.WriteHeader(http.StatusAccepted)
}

func (s *Sink) upload(w http.ResponseWriter, r *http.Request, e testbed.Endpoint) {
	s.mu.Lock()
	u := s.sessions[e.Repo+"/"+e.Ref]
	s.mu.Unlock()
	if u == nil {
		testbed.Refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	w.Header().Set("Location", r.URL.Path)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(u.size-1, 0)))
		w.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		s.forget(e)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPatch:
		if u.take(w, r) {
			w.Header().Set("Range", fmt.Sprintf("0-%d", max(u.size-1, 0)))
			w.WriteHeader(http.StatusAccepted)
		}
	case http.MethodPut:
		if u.take(w, r) {
			s.commit(w, r, e, u)
		}
	}
}

// take hashes a body that must begin where the last one ended. The bytes before an error count.
func (u *session) take(w http.ResponseWriter, r *http.Request) bool {
	bounds := strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes ")
	if from, _, ok := strings.Cut(bounds, "-"); ok && from != strconv.FormatInt(u.size, 10) {
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(u.size-1, 0)))
		testbed.Refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "out of order")
		return false
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{u.hash}, r.Body, make([]byte, 256<<10))
	u.size += n
	if err != nil {
		testbed.Refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", err.Error())
	}
	return err == nil
}

func (s *Sink) commit(w http.ResponseWriter, r *http.Request, e testbed.Endpoint, u *session) {
	s.forget(e)
	want, got := r.URL.Query().Get("digest"), digest.NewDigest(digest.Canonical, u.hash).String()
	if want != got {
		s.tb.Logf("sink: %s: got %s with %d bytes, promised %s", e.Repo, got, u.size, want)
		testbed.Refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "digest does not match")
		return
	}
	s.mu.Lock()
	s.blobs[e.Repo+"@"+got] = u.size
	s.bytes += u.size
	s.mu.Unlock()
	created(w, "/v2/"+e.Repo+"/blobs/"+got, got)
}

func (s *Sink) forget(e testbed.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The key stays in the map, so that the next session gets another id.
	s.sessions[e.Repo+"/"+e.Ref] = nil
}

func (s *Sink) head(w http.ResponseWriter, e testbed.Endpoint) {
	s.mu.Lock()
	size, ok := s.blobs[e.Repo+"@"+e.Ref]
	s.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Docker-Content-Digest", e.Ref)
}

func (s *Sink) put(w http.ResponseWriter, r *http.Request, e testbed.Endpoint) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	doc, bad := testbed.ReadDocument(raw)
	if err != nil || bad != nil {
		testbed.Refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "unreadable")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range doc.Blobs() {
		if _, ok := s.blobs[e.Repo+"@"+d.Digest.String()]; !ok && len(d.URLs) == 0 {
			testbed.Refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", d.Digest.String())
			return
		}
	}
	for _, d := range doc.Manifests {
		if _, ok := s.manifests[e.Repo+"@"+d.Digest.String()]; !ok {
			testbed.Refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", d.Digest.String())
			return
		}
	}
	d := digest.FromBytes(raw).String()
	if strings.Contains(e.Ref, ":") && e.Ref != d {
		testbed.Refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "digest does not match")
		return
	}
	k := kept{r.Header.Get("Content-Type"), raw}
	s.manifests[e.Repo+"@"+d] = k
	if e.Ref != d {
		s.manifests[e.Repo+":"+e.Ref] = k
	}
	created(w, r.URL.Path, d)
}

func (s *Sink) manifest(w http.ResponseWriter, e testbed.Endpoint) {
	s.mu.Lock()
	k, ok := s.manifests[e.Repo+"@"+e.Ref]
	if !ok {
		k, ok = s.manifests[e.Repo+":"+e.Ref]
	}
	s.mu.Unlock()
	if !ok {
		testbed.Refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no such manifest")
		return
	}
	w.Header().Set("Content-Type", k.mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(k.raw)))
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(k.raw).String())
	_, _ = w.Write(k.raw)
}

func (s *Sink) tags(w http.ResponseWriter, e testbed.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []string{}
	for name := range s.manifests {
		if tag, ok := strings.CutPrefix(name, e.Repo+":"); ok {
			all = append(all, tag)
		}
	}
	if len(all) == 0 && s.unknown(e.Repo) {
		testbed.Refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "no such repository")
		return
	}
	slices.Sort(all)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": e.Repo, "tags": all})
}

func (s *Sink) unknown(repo string) bool {
	for name := range s.blobs {
		if strings.HasPrefix(name, repo+"@") {
			return false
		}
	}
	return true
}

func created(w http.ResponseWriter, location, digest string) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}
