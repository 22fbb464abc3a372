package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
)

const (
	kindManifest = "application/vnd.oci.image.manifest.v1+json"
	kindIndex    = "application/vnd.oci.image.index.v1+json"
	kindConfig   = "application/vnd.oci.image.config.v1+json"
	kindLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"

	kindSignature = "application/vnd.example.signature"
)

type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	Platform  *platform `json:"platform,omitempty"`

	ArtifactType string `json:"artifactType,omitempty"`
}

type platform struct {
	OS   string `json:"os"`
	Arch string `json:"architecture"`
}

// manifest is an image manifest or an index.
type manifest struct {
	Version   int          `json:"schemaVersion"`
	MediaType string       `json:"mediaType"`
	Config    *descriptor  `json:"config,omitempty"`
	Layers    []descriptor `json:"layers,omitempty"`
	Manifests []descriptor `json:"manifests,omitempty"`

	ArtifactType string            `json:"artifactType,omitempty"`
	Subject      *descriptor       `json:"subject,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func (m manifest) blobs() []descriptor {
	if m.Config == nil {
		return m.Layers
	}
	return append([]descriptor{*m.Config}, m.Layers...)
}

// image is content with a name: its documents, children first, and its blobs by digest.
type image struct {
	Repo, Tag string
	Docs      []doc
	Blobs     map[string][]byte
}

func (m image) root() doc { return m.Docs[len(m.Docs)-1] }

// size returns the bytes of all blobs. A blob counts once in each repository.
func size(images []image) (n int64) {
	seen := map[string]bool{}
	for _, m := range images {
		for d, b := range m.Blobs {
			if !seen[m.Repo+"@"+d] {
				seen[m.Repo+"@"+d] = true
				n += int64(len(b))
			}
		}
	}
	return n
}

// distinct returns the bytes of all blobs. Each counts once.
func distinct(images []image) (n int64) {
	seen := map[string]bool{}
	for _, m := range images {
		for d, b := range m.Blobs {
			if !seen[d] {
				seen[d] = true
				n += int64(len(b))
			}
		}
	}
	return n
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// noise returns bytes that do not compress and begin like gzip. The same seed gives the same bytes.
func noise(seed uint64, size int64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b)
	copy(b, "\x1f\x8b\x08") // otherwise skopeo considers a layer uncompressed, and compresses it
	return b
}

func (m *image) add(kind string, data []byte) descriptor {
	d := descriptor{MediaType: kind, Digest: digestOf(data), Size: int64(len(data))}
	if kind == kindManifest || kind == kindIndex {
		m.Docs = append(m.Docs, doc{data, kind})
	} else {
		m.Blobs[d.Digest] = data
	}
	return d
}

// child adds the manifest of one platform with these layers.
func (m *image) child(arch string, seed uint64, layers ...[]byte) descriptor {
	p := &platform{"linux", arch}
	config, _ := json.Marshal(map[string]any{
		"os":           p.OS,
		"architecture": p.Arch,
		"seed":         seed,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{}},
	})
	c := m.add(kindConfig, config)
	out := manifest{Version: 2, MediaType: kindManifest, Config: &c}
	for _, l := range layers {
		out.Layers = append(out.Layers, m.add(kindLayer, l))
	}
	raw, _ := json.Marshal(out)
	d := m.add(kindManifest, raw)
	d.Platform = p
	return d
}

func single(repo, tag string, seed uint64, n int, layer int64) image {
	m := image{Repo: repo, Tag: tag, Blobs: map[string][]byte{}}
	var layers [][]byte
	for i := range n {
		layers = append(layers, noise(seed<<16+uint64(i), layer))
	}
	m.child("amd64", seed, layers...)
	return m
}

// architectures are those of the platforms of an index, in this order.
var architectures = [...]string{"amd64", "arm64", "386", "ppc64le", "s390x", "riscv64", "mips64le", "loong64"}

// index returns an index of some platforms, at most as many as there are architectures, with n layers each.
func index(platforms, n int, layer int64) image {
	m := image{Repo: repo, Tag: "v1", Blobs: map[string][]byte{}}
	out := manifest{Version: 2, MediaType: kindIndex}
	for p, arch := range architectures[:platforms] {
		var layers [][]byte
		for i := range n {
			layers = append(layers, noise(uint64(9000+p*100+i), layer))
		}
		out.Manifests = append(out.Manifests, m.child(arch, uint64(p), layers...))
	}
	raw, _ := json.Marshal(out)
	m.add(kindIndex, raw)
	return m
}

// signed adds a signature to each image. It is before the image in Docs, because the last document is the root.
func signed(images []image) []image {
	for i := range images {
		m := &images[i]
		root := m.Docs[len(m.Docs)-1]
		m.Docs = m.Docs[:len(m.Docs)-1]
		empty := m.add("application/vnd.oci.empty.v1+json", []byte("{}"))
		raw, _ := json.Marshal(manifest{
			Version:      2,
			MediaType:    kindManifest,
			ArtifactType: kindSignature,
			Config:       &empty,
			Layers:       []descriptor{m.add(kindSignature, fmt.Appendf(nil, "signature of %s", digestOf(root.raw)))},
			Subject:      &descriptor{MediaType: root.kind, Digest: digestOf(root.raw), Size: int64(len(root.raw))},
		})
		m.add(kindManifest, raw)
		m.Docs = append(m.Docs, root)
	}
	return images
}

// family returns n tags of ten layers each. All tags share nine of the layers.
func family(repo string, n int, layer int64) []image {
	var shared [][]byte
	for i := range 9 {
		shared = append(shared, noise(uint64(7000+i), layer))
	}
	var all []image
	for i := range n {
		m := image{Repo: repo, Tag: fmt.Sprintf("v%04d", i), Blobs: map[string][]byte{}}
		m.child("amd64", uint64(i), append(slices.Clone(shared), noise(uint64(100000+i), layer))...)
		all = append(all, m)
	}
	return all
}

// fleet returns the tags of n repositories. All of them share two layers, the tags of one repository share two more,
// and each has one layer of its own. The sizes are 8, 3 and 1 times own.
func fleet(n int, own int64, tags ...string) []image {
	base := [][]byte{noise(300000, 8*own), noise(300001, 8*own)}
	var all []image
	for r := range uint64(n) {
		shared := append(slices.Clone(base), noise(310000+2*r, 3*own), noise(310001+2*r, 3*own))
		for i, tag := range tags {
			m := image{Repo: fmt.Sprintf("bench/app%02d", r), Tag: tag, Blobs: map[string][]byte{}}
			seed := 320000 + r*1000 + uint64(i)
			m.child("amd64", seed, append(slices.Clone(shared), noise(seed, own))...)
			all = append(all, m)
		}
	}
	return all
}

// put stores images through a registry's handler, without network and without counting.
func put(h http.Handler, images []image) error {
	seen := map[string]bool{}
	for _, m := range images {
		for _, d := range sorted(m.Blobs) {
			if seen[m.Repo+"@"+d] {
				continue
			}
			seen[m.Repo+"@"+d] = true
			if err := putBlob(h, m.Repo, d, m.Blobs[d]); err != nil {
				return err
			}
		}
		for i, doc := range m.Docs {
			name := digestOf(doc.raw)
			if i == len(m.Docs)-1 {
				name = m.Tag
			}
			w := do(h, http.MethodPut, "/v2/"+m.Repo+"/manifests/"+name, doc.kind, doc.raw)
			if w.Code != http.StatusCreated {
				return fmt.Errorf("put manifest %s:%s: %d %s", m.Repo, name, w.Code, w.Body)
			}
		}
	}
	return nil
}

func putBlob(h http.Handler, repo, digest string, data []byte) error {
	w := do(h, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", "", nil)
	to := w.Header().Get("Location")
	if w.Code != http.StatusAccepted || to == "" {
		return fmt.Errorf("begin upload to %s: %d %s", repo, w.Code, w.Body)
	}
	u, err := http.NewRequest(http.MethodPut, to, nil)
	if err != nil {
		return err
	}
	q := u.URL.Query()
	q.Set("digest", digest)
	w = do(h, http.MethodPut, u.URL.Path+"?"+q.Encode(), "application/octet-stream", data)
	if w.Code != http.StatusCreated {
		return fmt.Errorf("put blob %s@%s: %d %s", repo, digest, w.Code, w.Body)
	}
	return nil
}

func do(h http.Handler, method, target, kind string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header["Accept"] = []string{kindManifest, kindIndex}
	r.Host = "127.0.0.1"
	h.ServeHTTP(w, r)
	return w
}

// verify reads images through the handler, without counting. It compares each document byte by
// byte. It compares the bytes of each blob if the registry keeps them. Otherwise it compares the
// size, which is enough for a store that verifies uploads.
func verify(h http.Handler, want []image) error {
	seen := map[string]bool{}
	for _, m := range want {
		to := m.Repo
		w := do(h, http.MethodGet, "/v2/"+to+"/manifests/"+m.Tag, "", nil)
		if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), m.root().raw) {
			return fmt.Errorf("%s:%s differs from the source (status %d)", to, m.Tag, w.Code)
		}
		for _, doc := range m.Docs {
			w := do(h, http.MethodGet, "/v2/"+to+"/manifests/"+digestOf(doc.raw), "", nil)
			if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), doc.raw) {
				return fmt.Errorf("manifest %s@%s is missing (status %d)", to, digestOf(doc.raw), w.Code)
			}
		}
		for d, b := range m.Blobs {
			if seen[to+"@"+d] {
				continue
			}
			seen[to+"@"+d] = true
			if err := verifyBlob(h, to, d, int64(len(b))); err != nil {
				return err
			}
		}
	}
	return nil
}

func verifyBlob(h http.Handler, repo, digest string, size int64) error {
	path := "/v2/" + repo + "/blobs/" + digest
	if s, ok := h.(*store); ok && s.keeping != keep {
		s.mu.Lock()
		b, ok := s.blobs[repo+"@"+digest]
		s.mu.Unlock()
		if !ok || b.size != size {
			return fmt.Errorf("blob %s@%s with %d bytes is missing", repo, digest, size)
		}
		return nil
	}
	w := &hashing{header: http.Header{}}
	pr, pw := io.Pipe()
	got := make(chan string)
	go func() {
		sum := sha256.New()
		n, _ := io.Copy(sum, pr)
		got <- fmt.Sprintf("sha256:%x %d", sum.Sum(nil), n)
	}()
	w.w = pw
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	_ = pw.Close() // never fails
	if have := <-got; have != fmt.Sprintf("%s %d", digest, size) {
		return fmt.Errorf("blob %s@%s has other content: %s", repo, digest, have)
	}
	return nil
}

// hashing is a ResponseWriter that writes its body to w.
type hashing struct {
	header http.Header
	w      io.Writer
}

func (h *hashing) Header() http.Header         { return h.header }
func (h *hashing) WriteHeader(int)             {}
func (h *hashing) Write(p []byte) (int, error) { return h.w.Write(p) }
