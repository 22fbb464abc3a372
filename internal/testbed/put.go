package testbed

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Blob stores data in repo, behind the front, and returns its descriptor.
func (r *Registry) Blob(tb testing.TB, repo, mediaType string, data []byte) v1.Descriptor {
	tb.Helper()
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	r.BlobFrom(tb, repo, d, bytes.NewReader(data))
	return d
}

// BlobFrom stores the content of body as d in repo, behind the front, without holding it in memory.
func (r *Registry) BlobFrom(tb testing.TB, repo string, d v1.Descriptor, body io.Reader) {
	tb.Helper()
	start := r.Direct(tb, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", nil, nil, nil)
	if start.StatusCode != http.StatusAccepted {
		tb.Fatalf("start upload to %s: %s", repo, start.Status)
	}
	at, err := url.Parse(start.Header.Get("Location"))
	if err != nil {
		tb.Fatal(err)
	}
	q := at.Query()
	q.Set("digest", d.Digest.String())
	put := r.Direct(tb, http.MethodPut, at.Path+"?"+q.Encode(),
		http.Header{"Content-Type": {"application/octet-stream"}}, body, nil)
	if put.StatusCode != http.StatusCreated {
		tb.Fatalf("put blob %s@%s: %s", repo, d.Digest, put.Status)
	}
}

// Manifest stores raw in repo under a tag or digest, behind the front, and returns its descriptor.
// An empty reference stores it by digest.
func (r *Registry) Manifest(tb testing.TB, repo, reference, mediaType string, raw []byte) v1.Descriptor {
	tb.Helper()
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if reference == "" {
		reference = d.Digest.String()
	}
	var answer bytes.Buffer
	put := r.Direct(tb, http.MethodPut, "/v2/"+repo+"/manifests/"+reference,
		http.Header{"Content-Type": {mediaType}}, bytes.NewReader(raw), &answer)
	if put.StatusCode != http.StatusCreated {
		tb.Fatalf("put manifest %s:%s: %s %s", repo, reference, put.Status, answer.String())
	}
	return d
}

// Direct sends a request to the registry behind its front: without network, log, authentication or
// faults. The returned response has no body. The body is written to the writer to; nil discards it.
func (r *Registry) Direct(
	tb testing.TB, method, target string, h http.Header, body io.Reader, to io.Writer,
) *http.Response {
	tb.Helper()
	req := httptest.NewRequestWithContext(tb.Context(), method, r.URL+target, body)
	req.Host, req.URL.Scheme, req.URL.Host = r.Host, "", ""
	req.RequestURI = target
	maps.Copy(req.Header, h)
	if to == nil {
		to = io.Discard
	}
	w := &directWriter{header: http.Header{}, to: to}
	r.handler.ServeHTTP(w, req)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprint(w.status, " ", http.StatusText(w.status)),
		Header: w.header, Request: req, Body: http.NoBody,
	}
}

// directWriter passes bodies on, so that large blobs need no memory.
type directWriter struct {
	header http.Header
	status int
	to     io.Writer
}

func (w *directWriter) Header() http.Header { return w.header }

func (w *directWriter) WriteHeader(code int) {
	if w.status == 0 && code >= http.StatusOK {
		w.status = code
	}
}

func (w *directWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.to.Write(p)
}

// EveryType returns an Accept header for all media types of manifests.
func EveryType() http.Header {
	return http.Header{"Accept": {strings.Join([]string{
		v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, dockerList, dockerManifest,
		dockerSchema1Signed, dockerSchema1, "*/*",
	}, ", ")}}
}

// Media types that image-spec does not name.
const (
	dockerList          = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest      = "application/vnd.docker.distribution.manifest.v2+json"
	dockerSchema1       = "application/vnd.docker.distribution.manifest.v1+json"
	dockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	dockerForeignLayer  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	dockerConfig        = "application/vnd.docker.container.image.v1+json"
)
