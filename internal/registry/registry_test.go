package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	crv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/oci"
)

// place is a registry in one directory, served on loopback. It can be closed and opened again.
type place struct {
	t   *testing.T
	o   registry.Options
	reg *registry.Registry
	srv *httptest.Server
}

func start(t *testing.T, o registry.Options) *place {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "data")
	}
	p := &place{t: t, o: o}
	p.open()
	t.Cleanup(p.close)
	return p
}

func (p *place) open() {
	p.t.Helper()
	reg, err := registry.Open(p.t.Context(), p.o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.reg, p.srv = reg, httptest.NewServer(reg)
}

func (p *place) close() {
	p.srv.Close()
	if err := p.reg.Close(); err != nil {
		p.t.Error(err)
	}
}

func (p *place) reopen() { p.close(); p.open() }

func (p *place) host() string { return p.srv.Listener.Addr().String() }

// do sends one request to a path or a Location. Headers are "Key: value".
func (p *place) do(method, path string, body []byte, headers ...string) *reply {
	p.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = p.srv.URL + path
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := p.srv.Client().Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return &reply{p.t, method + " " + path, resp, got}
}

type reply struct {
	t    *testing.T
	what string
	*http.Response
	body []byte
}

func (r *reply) want(status int) *reply {
	r.t.Helper()
	if r.StatusCode != status {
		r.t.Fatalf("%s: status %d, want %d: %s", r.what, r.StatusCode, status, r.body)
	}
	return r
}

func (r *reply) header(key, want string) *reply {
	r.t.Helper()
	if got := r.Header.Get(key); got != want {
		r.t.Fatalf("%s: %s is %q, want %q", r.what, key, got, want)
	}
	return r
}

// to adds a query to an upload location.
func to(location string, d digest.Digest) string {
	sep := "?"
	if strings.Contains(location, "?") {
		sep = "&"
	}
	return location + sep + "digest=" + d.String()
}

func (p *place) blob(repo string, content []byte) v1.Descriptor {
	p.t.Helper()
	d := digest.FromBytes(content)
	at := p.do("POST", "/v2/"+repo+"/blobs/uploads/", nil).want(202).Header.Get("Location")
	p.do("PUT", to(at, d), content).want(201).header("Docker-Content-Digest", d.String())
	return v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: d, Size: int64(len(content))}
}

// put pushes doc as reference. If reference is "", it pushes by digest.
func (p *place) put(repo, reference, mediaType string, doc any) (v1.Descriptor, *reply) {
	p.t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		p.t.Fatal(err)
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if reference == "" {
		reference = d.Digest.String()
	}
	return d, p.do("PUT", "/v2/"+repo+"/manifests/"+reference, raw, "Content-Type: "+mediaType)
}

// image returns a manifest whose only blob, the config, is in repo. mark makes it different from
// others.
func (p *place) image(repo, mark string) v1.Manifest {
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{}}
	m.SchemaVersion = 2
	m.Config = p.blob(repo, []byte("{}"))
	m.Config.MediaType = v1.MediaTypeImageConfig
	m.Annotations = map[string]string{"mark": mark}
	return m
}

func (p *place) push(repo, tag, mark string) v1.Descriptor {
	p.t.Helper()
	d, r := p.put(repo, tag, v1.MediaTypeImageManifest, p.image(repo, mark))
	r.want(201)
	return d
}

func TestWhatIsPushedComesBackByteForByteAfterARestart(t *testing.T) {
	p := start(t, registry.Options{})
	idx, err := random.Index(3000, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	nested := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: idx})
	tag, err := name.ParseReference(p.host() + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, nested); err != nil {
		t.Fatal(err)
	}
	p.reopen()
	tag, _ = name.ParseReference(p.host() + "/team/app:v1")
	got, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := nested.Digest()
	if have, _ := got.Digest(); have != want {
		t.Fatalf("digest %s, want %s", have, want)
	}
	inner, err := got.ImageIndex(mustDigest(t, idx))
	if err != nil {
		t.Fatal(err)
	}
	m, err := inner.IndexManifest()
	if err != nil || len(m.Manifests) != 2 {
		t.Fatal(m, err)
	}
	for _, d := range m.Manifests {
		img, err := inner.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil || len(layers) != 3 {
			t.Fatal(layers, err)
		}
		for _, l := range layers {
			rc, err := l.Compressed() // verifies the digest as it is read
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, rc); err != nil {
				t.Fatal(err)
			}
			rc.Close()
		}
	}
}

func mustDigest(t *testing.T, i crv1.ImageIndex) crv1.Hash {
	t.Helper()
	h, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestForeignLayersAreDescriptorsOnly(t *testing.T) {
	p := start(t, registry.Options{})
	foreign := v1.Descriptor{Digest: digest.FromString("elsewhere"), Size: 1 << 30, URLs: []string{"https://example.org/layer"}}
	m := p.image("win", "oci")
	foreign.MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	m.Layers = []v1.Descriptor{foreign}
	_, r := p.put("win", "oci", m.MediaType, m)
	r.want(201)

	m.MediaType, m.Config.MediaType = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json"
	m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	_, r = p.put("win", "docker", m.MediaType, m)
	r.want(201)
}

func TestAnIndexMayBeSparseButAnImageMayNot(t *testing.T) {
	p := start(t, registry.Options{})
	child := p.push("app", "child", "child")
	absent := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("absent"), Size: 6}
	for _, mediaType := range []string{v1.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json"} {
		idx := v1.Index{MediaType: mediaType, Manifests: []v1.Descriptor{child, absent}}
		idx.SchemaVersion = 2
		d, r := p.put("app", "sparse", mediaType, idx)
		r.want(201)
		p.do("GET", "/v2/app/manifests/sparse", nil, "Accept: "+mediaType).want(200).header("Docker-Content-Digest", d.Digest.String())
	}
	m := p.image("app", "broken")
	m.Layers = []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString("absent layer"), Size: 12}}
	_, r := p.put("app", "broken", m.MediaType, m)
	r.want(400)
	if !bytes.Contains(r.body, []byte("MANIFEST_BLOB_UNKNOWN")) {
		t.Fatalf("%s", r.body)
	}
}

func TestAManifestIsServedToAClientThatNamesNoType(t *testing.T) {
	p := start(t, registry.Options{})
	d := p.push("app", "v1", "any")
	for _, accept := range []string{"", "*/*", "text/html, */*;q=0.1"} {
		p.do("GET", "/v2/app/manifests/v1", nil, "Accept: "+accept).want(200).header("Docker-Content-Digest", d.Digest.String())
	}
	p.do("GET", "/v2/app/manifests/v1", nil, "Accept: text/html").want(404)
}

func TestAManifestOverFourMebibytesIsRefusedAsTooLarge(t *testing.T) {
	p := start(t, registry.Options{})
	p.do("PUT", "/v2/app/manifests/v1", make([]byte, 4<<20+1), "Content-Type: "+v1.MediaTypeImageManifest).want(413)
	p.do("GET", "/v2/app/manifests/v1", nil).want(404)
}

func TestASecondOpenIsRefusedAndNamesTheDirectory(t *testing.T) {
	p := start(t, registry.Options{})
	_, err := registry.Open(t.Context(), p.o)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), p.o.Dir) || fault.HintOf(err) == "" {
		t.Fatalf("%v (hint %q)", err, fault.HintOf(err))
	}
	p.reopen() // the refused Open has not changed the lock; Close releases it
}

func TestBadOptionsAreOneClearFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "http-secret"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir  string
		kind fault.Kind
	}{{"", fault.Invalid}, {file, fault.Invalid}, {filepath.Join(file, "below"), fault.Invalid}, {broken, fault.Corrupt}} {
		_, err := registry.Open(t.Context(), registry.Options{Dir: c.dir})
		if !fault.Is(err, c.kind) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q): %v (hint %q), want %s", c.dir, err, fault.HintOf(err), c.kind)
		}
	}
	if err := os.Remove(filepath.Join(broken, "http-secret")); err != nil {
		t.Fatal(err)
	}
	start(t, registry.Options{Dir: broken}) // following the hint helps
}

func TestTheSecretStaysAndIsReadableByItsOwnerAlone(t *testing.T) {
	p := start(t, registry.Options{})
	name := filepath.Join(p.o.Dir, "http-secret")
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(name)
	if info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode())
	}
	p.reopen()
	after, _ := os.ReadFile(name)
	if !bytes.Equal(before, after) {
		t.Fatal("the secret has changed")
	}
	if left, _ := filepath.Glob(filepath.Join(p.o.Dir, "*.tmp")); len(left) > 0 {
		t.Fatal(left)
	}
}

func TestAClosedRegistryServesNothing(t *testing.T) {
	p := start(t, registry.Options{})
	if err := p.reg.Close(); err != nil {
		t.Fatal(err)
	}
	p.do("GET", "/v2/", nil).want(503)
}

func TestListsComeInPages(t *testing.T) {
	p := start(t, registry.Options{})
	for _, repo := range []string{"a", "b/c", "d"} {
		p.push(repo, "v1", repo)
	}
	p.push("a", "v2", "a")
	p.push("a", "v3", "a")
	for _, c := range []struct{ first, key, want string }{
		{"/v2/_catalog?n=2", "repositories", "a b/c d"},
		{"/v2/a/tags/list?n=2", "tags", "v1 v2 v3"},
		{"/v2/_catalog?n=10000", "repositories", "a b/c d"},
		{"/v2/a/tags/list?n=100000", "tags", "v1 v2 v3"},
		{"/v2/a/tags/list?n=1&last=v2", "tags", "v3"},
	} {
		var all []string
		for next := c.first; next != ""; {
			r := p.do("GET", next, nil).want(200)
			var page map[string]any
			if err := json.Unmarshal(r.body, &page); err != nil {
				t.Fatal(err)
			}
			for _, e := range page[c.key].([]any) {
				all = append(all, e.(string))
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(r.Header.Get("Link"), "<"), ">")
			if len(all) > 10 {
				t.Fatal("the pages do not end", all)
			}
		}
		if got := strings.Join(all, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.first, got, c.want)
		}
	}
}

func TestNoTagListIsLongerThanAThousand(t *testing.T) {
	p := start(t, registry.Options{})
	p.push("app", "t0000", "x")
	tags := filepath.Join(p.o.Dir, "storage/docker/registry/v2/repositories/app/_manifests/tags")
	for i := 1; i <= 1000; i++ {
		if err := os.CopyFS(filepath.Join(tags, fmt.Sprintf("t%04d", i)), os.DirFS(filepath.Join(tags, "t0000"))); err != nil {
			t.Fatal(err)
		}
	}
	r := p.do("GET", "/v2/app/tags/list?n=100000", nil).want(200)
	if n := strings.Count(string(r.body), `"t`) - 1; n != 1000 || !strings.Contains(r.Header.Get("Link"), "last=t0999") {
		t.Fatal(n, r.Header)
	}
}

func TestWhatAClientDoesWrongIsNoErrorInTheLog(t *testing.T) {
	var out bytes.Buffer
	p := start(t, registry.Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	p.do("HEAD", "/v2/app/blobs/"+digest.FromString("no").String(), nil).want(404)
	p.do("GET", "/v2/app/manifests/none", nil).want(404)
	p.do("PUT", "/v2/app/manifests/v1", []byte("{"), "Content-Type: "+v1.MediaTypeImageManifest).want(400)
	p.do("GET", "/v2/_catalog?n=99999999", nil).want(400)
	p.cut("app", 1<<20)
	p.reset("app", 1<<20)
	p.close()
	if out.Len() > 0 {
		t.Fatalf("logged:\n%s", out.String())
	}
	p.open()

	// A failure of the storage is logged as an error, with its cause.
	p.push("app", "v1", "x")
	link := filepath.Join(p.o.Dir, "storage/docker/registry/v2/repositories/app/_manifests/tags/v1/current/link")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(link, 0o700); err != nil {
		t.Fatal(err)
	}
	p.do("GET", "/v2/app/manifests/v1?_state=secret", nil).want(500)
	if got := out.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "is a directory") || strings.Count(got, "\n") != 1 ||
		strings.Contains(got, "secret") || !strings.Contains(got, "path=/v2/app/manifests/v1 ") {
		t.Fatalf("logged %q", got)
	}
}

func TestConcurrentPushesOfOneImageAllArrive(t *testing.T) {
	p := start(t, registry.Options{})
	subject := p.push("app", "v1", "subject")
	m := p.image("app", "referrer")
	m.Subject = &subject
	done := make(chan string)
	for i := range 8 {
		go func() {
			var problem string
			defer func() { done <- problem }()
			m := m
			m.Annotations = map[string]string{"mark": strconv.Itoa(i % 4)}
			raw, _ := json.Marshal(m)
			req, _ := http.NewRequest("PUT", fmt.Sprintf("%s/v2/app/manifests/r%d", p.srv.URL, i), bytes.NewReader(raw))
			req.Header.Set("Content-Type", m.MediaType)
			resp, err := p.srv.Client().Do(req)
			if err != nil {
				problem = err.Error()
				return
			}
			resp.Body.Close()
			if resp.StatusCode != 201 {
				problem = resp.Status
			}
		}()
	}
	for range 8 {
		if problem := <-done; problem != "" {
			t.Error(problem)
		}
	}
	if got := p.referrers("app", subject.Digest, ""); len(got) != 4 {
		t.Fatalf("%d referrers, want 4", len(got))
	}
}

func TestEachChangeAsksFirst(t *testing.T) {
	asked, refuse := 0, false
	p := start(t, registry.Options{Writes: func(context.Context) (func(), error) {
		if refuse {
			return nil, errors.New("not now")
		}
		asked++
		return func() { asked-- }, nil
	}})
	m := p.push("app", "v1", "text")
	if asked != 0 {
		t.Errorf("%d changes have not ended", asked)
	}
	up := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	refuse = true
	p.do("GET", "/v2/app/manifests/v1", nil).want(200)
	up = p.do("PATCH", up, []byte("chunk")).want(202).Header.Get("Location")
	p.do("PUT", up+"&digest="+oci.Sum([]byte("chunk")).String(), nil).want(503).header("Retry-After", "10")
	p.do("POST", "/v2/app/blobs/uploads/", nil).want(503)
	p.do("DELETE", "/v2/app/manifests/"+m.Digest.String(), nil).want(503)
	s := p.store("app")
	b := []byte("bytes")
	if _, err := s.Put(t.Context(), descriptor(b), nil, serving(b)); err == nil {
		t.Error("a blob was put")
	}
	if err := s.Delete(t.Context(), "v1"); err == nil {
		t.Error("a tag was deleted")
	}
	refuse = false
	p.do("PUT", up+"&digest="+oci.Sum([]byte("chunk")).String(), nil).want(201)
	p.bring(s, b)
}
