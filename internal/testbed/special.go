package testbed

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of Helm charts, and of what Artifact stores.
const (
	HelmConfig   = "application/vnd.cncf.helm.config.v1+json"
	HelmContent  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	ArtifactType = "application/vnd.example.report.v1"
	ReportLayer  = "application/vnd.example.report.layer.v1+json"
)

// HelmChart stores a small chart that helm can pull and install: a real .tgz with Helm's media
// types.
func HelmChart(tb testing.TB, r *Registry, repo, tag string) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	tgz := archive(tb, map[string]string{
		"demo/Chart.yaml":  "apiVersion: v2\nname: demo\nversion: 0.1.0\ndescription: a demo\ntype: application\n",
		"demo/values.yaml": "greeting: hello\n",
		"demo/templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n" +
			"data:\n  greeting: {{ .Values.greeting }}\n",
		"demo/templates/NOTES.txt": "done\n",
	})
	config := `{"name":"demo","version":"0.1.0","description":"a demo","apiVersion":"v2","type":"application"}`
	m.Root = m.document(tag, v1.MediaTypeImageManifest, v1.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		Config:      m.blob(HelmConfig, []byte(config)),
		Layers:      []v1.Descriptor{m.blob(HelmContent, tgz)},
		Annotations: map[string]string{v1.AnnotationTitle: "demo", v1.AnnotationVersion: "0.1.0"},
	})
	return m.done()
}

func archive(tb testing.TB, files map[string]string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, name := range sorted(files) {
		body := files[name]
		head := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}
		if err := t.WriteHeader(head); err != nil {
			tb.Fatal(err)
		}
		if _, err := t.Write([]byte(body)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := t.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// Artifact stores a manifest that is not an image: an artifactType, the empty config, a layer of an
// unknown media type, and a subject. If the registry does not index subjects, the artifact is also
// listed under the subject's fallback tag (distribution-spec v1.1.1 §Referrers Tag Schema). An
// empty tag stores it by digest. A zero subject is left out.
func Artifact(tb testing.TB, r *Registry, repo, tag string, subject v1.Descriptor) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	doc := v1.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    v1.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       m.blob(v1.MediaTypeEmptyJSON, []byte("{}")),
		Layers:       []v1.Descriptor{m.blob(ReportLayer, []byte(`{"about":"`+subject.Digest.String()+tag+`"}`))},
		Annotations:  map[string]string{v1.AnnotationCreated: "2026-11-20T00:00:00Z"},
	}
	if subject.Digest != "" {
		subject.Platform = nil
		doc.Subject = &subject
	}
	m.Root = m.document(tag, v1.MediaTypeImageManifest, doc)
	if doc.Subject != nil {
		listFallback(tb, r, repo, subject, m.Root)
	}
	return m.done()
}

func listFallback(tb testing.TB, r *Registry, repo string, subject, artifact v1.Descriptor) {
	tb.Helper()
	api := r.Direct(tb, http.MethodGet, "/v2/"+repo+"/referrers/"+subject.Digest.String(), nil, nil, nil)
	if api.StatusCode == http.StatusOK {
		return
	}
	tag := strings.Replace(subject.Digest.String(), ":", "-", 1)
	list := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	if raw := r.raw(tb, repo, tag); raw != nil {
		if err := json.Unmarshal(raw, &list); err != nil {
			tb.Fatal(err)
		}
	}
	artifact.ArtifactType = ArtifactType
	list.Manifests = append(list.Manifests, artifact)
	r.Manifest(tb, repo, tag, v1.MediaTypeImageIndex, encode(tb, list))
}

// Foreign stores an image of Docker media types whose first layer is foreign: it has URLs and is
// not in the registry. Its second layer is in the registry. Distribution requires Content Open.
func Foreign(tb testing.TB, r *Registry, repo, tag string, urls ...string) Image {
	tb.Helper()
	m := builder{tb: tb, r: r, Image: Image{Repo: repo, Tag: tag}}
	if len(urls) == 0 {
		urls = []string{"https://layers.example/base"}
	}
	absent := []byte("a layer that may not be distributed")
	foreign := v1.Descriptor{
		MediaType: dockerForeignLayer, Digest: digest.FromBytes(absent), Size: int64(len(absent)), URLs: urls,
	}
	layer := m.noise(1024, 99)
	layer.MediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	config := v1.Image{
		Platform: v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.2527"},
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{foreign.Digest, layer.Digest}},
	}
	m.Root = m.document(tag, dockerManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: dockerManifest,
		Config:    m.blob(dockerConfig, encode(tb, config)),
		Layers:    []v1.Descriptor{foreign, layer},
	})
	return m.done()
}

// Schema1 returns a signed manifest of Docker's schema 1, as registries served it before 2016. No
// registry here stores it: serve it with hostile.OtherManifest.
func Schema1() (mediaType string, raw []byte) {
	return dockerSchema1Signed, []byte(`{
   "schemaVersion": 1,
   "name": "app",
   "tag": "v1",
   "architecture": "amd64",
   "fsLayers": [{"blobSum": "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"}],
   "history": [{"v1Compatibility": "{\"id\":\"1\",\"os\":\"linux\",\"architecture\":\"amd64\"}"}],
   "signatures": [{
      "header": {"alg": "ES256", "jwk": {"crv": "P-256", "kid": "AAAA", "kty": "EC", "x": "AA", "y": "AA"}},
      "signature": "AA",
      "protected": "eyJmb3JtYXRMZW5ndGgiOjAsImZvcm1hdFRhaWwiOiIifQ"
   }]
}`)
}
