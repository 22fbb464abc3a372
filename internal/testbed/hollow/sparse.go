package hollow

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/testbed"
)

// Sparse serves one image whose layer is size bytes of zeros, under any tag of the repository
// "sparse". It does not hold the layer in memory or on disk. Ranges work, writing does not. Hashing
// takes about a second per 2 GiB: skip tests with large layers if testing.Short is set.
func Sparse(tb testing.TB, size int64, o testbed.Options) (*testbed.Registry, testbed.Image) {
	tb.Helper()
	h := digest.Canonical.Digester()
	if _, err := io.Copy(h.Hash(), Zeros(size)); err != nil {
		tb.Fatal(err)
	}
	layer := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: h.Digest(), Size: size}
	raw := marshal(tb, v1.Image{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})
	config := v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	manifest := marshal(tb, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    config,
		Layers:    []v1.Descriptor{layer},
	})
	root := v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest,
		Digest:    digest.FromBytes(manifest),
		Size:      int64(len(manifest)),
	}
	s := &sparse{root: root, manifest: manifest, config: config, raw: raw, layer: layer}
	return testbed.Serve(tb, s, o), testbed.Image{
		Root: root, Repo: "sparse", Tag: "v1", Manifests: 1, Blobs: 2, Bytes: size + config.Size,
		Layers: []v1.Descriptor{layer, config},
	}
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

type sparse struct {
	root, config, layer v1.Descriptor
	manifest, raw       []byte
}

func (s *sparse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := testbed.Parse(r.URL.Path)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		testbed.Refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "read only")
		return
	}
	serve := func(d v1.Descriptor, body io.ReadSeeker) {
		w.Header().Set("Docker-Content-Digest", d.Digest.String())
		w.Header().Set("ETag", `"`+d.Digest.String()+`"`)
		http.ServeContent(w, r, "", time.Time{}, body)
	}
	switch {
	case e.Kind == testbed.Ping:
		w.WriteHeader(http.StatusOK)
	case e.Kind == testbed.Manifest && (e.Ref == s.root.Digest.String() || digest.Digest(e.Ref).Validate() != nil):
		w.Header().Set("Content-Type", s.root.MediaType)
		serve(s.root, bytes.NewReader(s.manifest))
	case e.Kind == testbed.Blob && e.Ref == s.config.Digest.String():
		w.Header().Set("Content-Type", "application/octet-stream")
		serve(s.config, bytes.NewReader(s.raw))
	case e.Kind == testbed.Blob && e.Ref == s.layer.Digest.String():
		w.Header().Set("Content-Type", "application/octet-stream")
		serve(s.layer, Zeros(s.layer.Size))
	default:
		testbed.Refuse(w, http.StatusNotFound, "NOT_FOUND", "this registry has only one image")
	}
}

// Zeros returns a reader of size zero bytes.
func Zeros(size int64) io.ReadSeeker { return &zeros{size: size} }

type zeros struct{ at, size int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.at >= z.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), z.size-z.at)]
	clear(p)
	z.at += int64(len(p))
	return len(p), nil
}

func (z *zeros) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += z.at
	case io.SeekEnd:
		offset += z.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	z.at = offset
	return offset, nil
}
