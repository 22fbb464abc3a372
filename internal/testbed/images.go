package testbed

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image describes content that was stored in a repository.
type Image struct {
	Root      v1.Descriptor
	Repo, Tag string
	Manifests int   // distinct manifests and indexes
	Blobs     int   // distinct configs and layers that are stored
	Bytes     int64 // total size of those blobs

	Layers   []v1.Descriptor // layers and configs in the order of storing
	Children []v1.Descriptor // manifests below the root, in the order of storing
}

// Digest returns the digest of the root.
func (m Image) Digest() string { return m.Root.Digest.String() }

// RandomOptions describe an image of random bytes.
type RandomOptions struct {
	Layers int    // 0 means one
	Size   int64  // of each layer, in bytes; 0 means 1 KiB
	Seed   uint64 // the same seed gives the same digests
}

// Random stores one linux/amd64 image whose layers do not compress. The layers are random bytes and
// not gzip: registries do not check this, but the image cannot be unpacked.
func Random(tb testing.TB, r *Registry, repo, tag string, o RandomOptions) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	var layers []v1.Descriptor
	if o.Size == 0 {
		o.Size = 1024
	}
	for i := range max(o.Layers, 1) {
		layers = append(layers, m.noise(o.Size, o.Seed<<16+uint64(i)))
	}
	m.Root = m.manifest(tag, v1.Platform{OS: "linux", Architecture: "amd64"}, layers)
	return m.done()
}

// Index stores an index of n platforms under a tag. Each platform has its own config and layer, and
// all share one more layer: 2n+1 blobs, n+1 manifests.
func Index(tb testing.TB, r *Registry, repo, tag string, n int) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	shared := m.noise(4096, 1)
	var children []v1.Descriptor
	for i := range n {
		p := platform(i)
		d := m.manifest("", p, []v1.Descriptor{shared, m.noise(512, 1<<32+uint64(i))})
		d.Platform = &p
		children = append(children, d)
	}
	m.Root = m.index(tag, children)
	return m.done()
}

// Attested is Index with an attestation for each platform, as BuildKit writes them: Children holds the images, then
// the attestations.
func Attested(tb testing.TB, r *Registry, repo, tag string, n int) Image {
	tb.Helper()
	images := Index(tb, r, repo, "", n)
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	var children []v1.Descriptor
	for i, d := range images.Children {
		p := platform(i)
		d.Platform = &p
		children = append(children, d)
	}
	for i, d := range images.Children {
		a := m.manifest("", v1.Platform{OS: "unknown", Architecture: "unknown"}, []v1.Descriptor{m.noise(64, 1<<40+uint64(i))})
		a.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
		a.Annotations = map[string]string{
			"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": d.Digest.String(),
		}
		children = append(children, a)
	}
	m.Children, m.Layers = children, append(images.Layers, m.Layers...)
	m.Root = m.index(tag, children)
	return m.done()
}

// Nested stores indexes inside one another: depth indexes above one image. A depth of 1 is an index
// that holds a manifest.
func Nested(tb testing.TB, r *Registry, repo, tag string, depth int) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	d := m.manifest("", platform(0), []v1.Descriptor{m.noise(512, 7)})
	for i := depth; i > 0; i-- {
		name := ""
		if i == 1 {
			name = tag
		}
		d = m.index(name, []v1.Descriptor{d})
	}
	m.Root = d
	return m.done()
}

// platform returns the i-th of many different platforms.
func platform(i int) v1.Platform {
	common := []v1.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
		{OS: "linux", Architecture: "s390x"},
		{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.2527"},
	}
	if i < len(common) {
		return common[i]
	}
	return v1.Platform{OS: "linux", Architecture: "riscv64", Variant: fmt.Sprintf("v%d", i)}
}

// builder stores the parts of one image and counts them.
type builder struct {
	tb testing.TB
	r  *Registry
	Image
}

func (m *builder) blob(mediaType string, data []byte) v1.Descriptor {
	m.tb.Helper()
	d := m.r.Blob(m.tb, m.Repo, mediaType, data)
	m.Layers = append(m.Layers, d)
	return d
}

// noise stores a layer of random bytes of a seed without holding it in memory.
func (m *builder) noise(size int64, seed uint64) v1.Descriptor {
	m.tb.Helper()
	hash := digest.Canonical.Digester()
	if _, err := io.Copy(hash.Hash(), Noise(seed, size)); err != nil {
		m.tb.Fatal(err)
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: hash.Digest(), Size: size}
	m.r.BlobFrom(m.tb, m.Repo, d, Noise(seed, size))
	m.Layers = append(m.Layers, d)
	return d
}

// manifest stores an image manifest with a config for p. An empty name stores it by digest.
func (m *builder) manifest(name string, p v1.Platform, layers []v1.Descriptor) v1.Descriptor {
	m.tb.Helper()
	config := v1.Image{Platform: p, RootFS: v1.RootFS{Type: "layers"}}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	return m.document(name, v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    m.blob(v1.MediaTypeImageConfig, encode(m.tb, config)),
		Layers:    layers,
	})
}

func (m *builder) index(name string, children []v1.Descriptor) v1.Descriptor {
	m.tb.Helper()
	return m.document(name, v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: children,
	})
}

func (m *builder) document(name, mediaType string, v any) v1.Descriptor {
	m.tb.Helper()
	d := m.r.Manifest(m.tb, m.Repo, name, mediaType, encode(m.tb, v))
	m.Children = append(m.Children, d)
	return d
}

// done counts what was stored. The root is not its own child.
func (m *builder) done() Image {
	seen := map[digest.Digest]bool{}
	for _, d := range m.Children {
		seen[d.Digest] = true
	}
	m.Manifests = len(seen)
	clear(seen)
	for _, d := range m.Layers {
		if !seen[d.Digest] {
			m.Bytes += d.Size
		}
		seen[d.Digest] = true
	}
	m.Blobs = len(seen)
	if n := len(m.Children); n > 0 {
		m.Children = m.Children[:n-1]
	}
	return m.Image
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Noise returns a reader of size bytes that do not compress. The same seed gives the same bytes.
func Noise(seed uint64, size int64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return io.LimitReader(rand.NewChaCha8(key), size)
}
