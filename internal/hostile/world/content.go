package world

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/testbed"
)

const (
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// document is a manifest or an index, with what is below it.
type document struct {
	v1.Descriptor
	raw      []byte
	children []*document
	blobs    []blob
}

type blob struct {
	v1.Descriptor
	data []byte
}

// attached is a document that refers to another.
type attached struct {
	*document
	to *document
}

// platforms of the children of an index. The first one is what a world with platforms asks for.
func platforms() []v1.Platform {
	return []v1.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "windows", Architecture: "amd64"},
	}
}

// picture makes the documents of an image. The same Image gives the same documents.
func picture(i Image) (root *document, around []attached) {
	var children []*document
	shared := noise(i.Seed<<16, i.Size, i.Docker)
	for n, p := range platforms()[:max(i.Platforms, 1)] {
		layers := []blob{shared}
		for l := 1; l < i.Layers; l++ {
			layers = append(layers, noise(i.Seed<<16+uint64(l), i.Size, i.Docker))
		}
		if n > 0 {
			layers = append(layers, noise(i.Seed<<16+uint64(100*n), i.Size/2+1, i.Docker))
		}
		children = append(children, manifest(p, layers, i.Docker))
	}
	root = children[0]
	if i.Platforms > 0 {
		root = list(children, i.Docker)
	}
	if i.Nested {
		root = list([]*document{root, manifest(platforms()[0], []blob{shared}, i.Docker)}, i.Docker)
	}
	all := root.all()
	for n, at := range i.Referrers {
		to := all[len(all)-1-at%len(all)]
		r := referrer(to, n)
		all = append([]*document{r}, all...)
		around = append(around, attached{r, to})
	}
	return root, around
}

func noise(seed uint64, size int64, docker bool) blob {
	data, _ := io.ReadAll(testbed.Noise(seed, size))
	kind := v1.MediaTypeImageLayerGzip
	if docker {
		kind = dockerLayer
	}
	return plain(kind, data)
}

func plain(kind string, data []byte) blob {
	return blob{v1.Descriptor{MediaType: kind, Digest: digest.FromBytes(data), Size: int64(len(data))}, data}
}

func manifest(p v1.Platform, layers []blob, docker bool) *document {
	kind, config := v1.MediaTypeImageManifest, v1.MediaTypeImageConfig
	if docker {
		kind, config = dockerManifest, dockerConfig
	}
	c := v1.Image{Platform: p, RootFS: v1.RootFS{Type: "layers"}}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: kind}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.Digest)
		m.Layers = append(m.Layers, l.Descriptor)
	}
	b := plain(config, encode(c))
	m.Config = b.Descriptor
	d := made(kind, m)
	d.blobs, d.Platform = append([]blob{b}, layers...), &p
	return d
}

func list(children []*document, docker bool) *document {
	kind := v1.MediaTypeImageIndex
	if docker {
		kind = dockerList
	}
	l := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: kind, Manifests: []v1.Descriptor{}}
	for _, c := range children {
		l.Manifests = append(l.Manifests, c.Descriptor)
	}
	d := made(kind, l)
	d.children = children
	return d
}

// referrer makes the nth document that refers to another one: a signature, an SBOM whose type is that of its config, as
// older tools write it, or an index.
func referrer(to *document, n int) *document {
	subject := &v1.Descriptor{MediaType: to.MediaType, Digest: to.Digest, Size: to.Size}
	about := map[string]string{v1.AnnotationTitle: fmt.Sprint("about ", n)}
	layer := plain("application/vnd.example.report.v1+json", fmt.Appendf(nil, `{"of":%q,"n":%d}`, to.Digest, n))
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Subject: subject,
		Annotations: about, Layers: []v1.Descriptor{layer.Descriptor}}
	config, kind := plain(v1.MediaTypeEmptyJSON, []byte("{}")), "application/vnd.example.signature.v1"
	switch n % 3 {
	case 0:
		m.ArtifactType = kind
	case 1:
		kind = "application/vnd.example.sbom.v1+json"
		config.MediaType = kind
	default:
		child := manifest(platforms()[0], []blob{layer}, false)
		l := v1.Index{Versioned: m.Versioned, MediaType: v1.MediaTypeImageIndex, ArtifactType: kind, Subject: subject,
			Annotations: about, Manifests: []v1.Descriptor{child.Descriptor}}
		d := made(v1.MediaTypeImageIndex, l)
		d.children, d.ArtifactType, d.Annotations = []*document{child}, kind, about
		return d
	}
	m.Config = config.Descriptor
	d := made(v1.MediaTypeImageManifest, m)
	d.blobs, d.ArtifactType, d.Annotations = []blob{config, layer}, kind, about
	return d
}

func made(kind string, v any) *document {
	raw := encode(v)
	d := v1.Descriptor{MediaType: kind, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	return &document{Descriptor: d, raw: raw}
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// all lists a document and those below it, the deepest first.
func (d *document) all() []*document {
	var all []*document
	for _, c := range d.children {
		all = append(all, c.all()...)
	}
	return append(all, d)
}

// store puts a document and what is below it into a repository. Without a tag it is stored by digest.
func (d *document) store(t *testing.T, r *testbed.Registry, repo, tag string) {
	t.Helper()
	for _, c := range d.children {
		c.store(t, r, repo, "")
	}
	d.storeBlobs(t, r, repo)
	r.Manifest(t, repo, tag, d.MediaType, d.raw)
}

func (d *document) storeBlobs(t *testing.T, r *testbed.Registry, repo string) {
	t.Helper()
	for _, b := range d.blobs {
		r.Blob(t, repo, b.MediaType, b.data)
	}
}

// lists returns the lists of referrers that a registry without the referrers API has under its referrers tags, by
// subject.
func lists(around []attached) map[digest.Digest]*document {
	to := map[digest.Digest][]*document{}
	for _, a := range around {
		if !slices.ContainsFunc(to[a.to.Digest], func(d *document) bool { return d.Digest == a.Digest }) {
			to[a.to.Digest] = append(to[a.to.Digest], a.document)
		}
	}
	all := map[digest.Digest]*document{}
	for subject, docs := range to {
		all[subject] = list(docs, false)
	}
	return all
}
