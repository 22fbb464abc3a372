package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

var (
	_ transfer.Source = (*remote.Repository)(nil)
	_ transfer.Target = (*remote.Repository)(nil)
)

// login is accepted by every registry of testbed that requires one.
var login = credential.Login{User: "user", Password: credential.New(testbed.Password)}

// client returns a Client with short waits, whose options are modified by changes.
func client(tb testing.TB, changes ...func(*remote.Options)) *remote.Client {
	tb.Helper()
	o := remote.Options{Stall: 10 * time.Second, CertDirs: []string{}}
	for _, change := range changes {
		change(&o)
	}
	c, err := remote.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func withLogin(o *remote.Options) {
	o.Logins = credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) { return login, true, nil }}
}

func withHost(r *testbed.Registry, h credential.Settings) func(*remote.Options) {
	return func(o *remote.Options) {
		if o.Hosts == nil {
			o.Hosts = map[string]credential.Settings{}
		}
		o.Hosts[r.Host] = h
	}
}

func repo(r *testbed.Registry, path string) ref.Repo { return ref.Repo{Host: r.Host, Path: path} }

func opener(b []byte) oci.Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[at:])), nil
	}
}

func noise(tb testing.TB, seed uint64, size int64) ([]byte, oci.Descriptor) {
	tb.Helper()
	b, err := io.ReadAll(testbed.Noise(seed, size))
	if err != nil {
		tb.Fatal(err)
	}
	return b, oci.Descriptor{MediaType: "application/octet-stream", Digest: oci.Sum(b), Size: size}
}

func wantKind(tb testing.TB, err error, k fault.Kind) {
	tb.Helper()
	if fault.KindOf(err) != k {
		tb.Fatalf("the error is of kind %q, want %q: %v", fault.KindOf(err), k, err)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// events collects what an Observer receives.
type events struct {
	mu       sync.Mutex
	all      []event.Event
	requests []event.Request
}

func (e *events) observe(v event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, v)
}

func (e *events) request(q event.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, q)
}

// watch returns the observer to open a repository with.
func (e *events) watch() event.Watch { return event.Watch{Events: e.observe, Requests: e.request} }

func (e *events) of(k event.Kind) []event.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var some []event.Event
	for _, v := range e.all {
		if v.Kind == k {
			some = append(some, v)
		}
	}
	return some
}

// put pushes an image of two layers to the tags, as an engine does.
func put(tb testing.TB, r *remote.Repository, tags ...string) (oci.Document, [][]byte) {
	tb.Helper()
	ctx := tb.Context()
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	layer1, d1 := noise(tb, 1, 200<<10)
	layer2, d2 := noise(tb, 2, 10)
	raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[`+
		`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d},{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		oci.TypeManifest, oci.Sum(config), len(config), d1.Digest, d1.Size, d2.Digest, d2.Size)
	doc, err := oci.Parse(oci.Descriptor{}, []byte(raw))
	must(tb, err)
	blobs := [][]byte{config, layer1, layer2}
	missing, err := r.Missing(ctx, doc.Blobs)
	must(tb, err)
	for i, d := range doc.Blobs {
		if slices.ContainsFunc(missing, func(m oci.Descriptor) bool { return m.Digest == d.Digest }) {
			_, err := r.Put(ctx, d, nil, opener(blobs[i]))
			must(tb, err)
		}
	}
	accepted, err := r.PutDocument(ctx, doc, tags...)
	must(tb, err)
	slices.Sort(tags)
	if !slices.Equal(accepted.Tags, tags) || len(accepted.Failed) > 0 {
		tb.Fatalf("accepted %v, failed %v; want %v", accepted.Tags, accepted.Failed, tags)
	}
	return doc, blobs
}

// check reads back what put pushed.
func check(tb testing.TB, r *remote.Repository, doc oci.Document, blobs [][]byte, tags ...string) {
	tb.Helper()
	ctx := tb.Context()
	for _, tag := range tags {
		d, err := r.Resolve(ctx, tag)
		must(tb, err)
		if d.Digest != doc.Digest || d.Size != doc.Size || d.MediaType != doc.MediaType {
			tb.Fatalf("%s is %v, want %v", tag, d, doc.Descriptor)
		}
	}
	got, err := r.Document(ctx, string(doc.Digest))
	must(tb, err)
	if !bytes.Equal(got.Raw, doc.Raw) {
		tb.Fatal("the manifest has changed")
	}
	for i, d := range doc.Blobs {
		body, from, err := r.Blob(ctx, d, 0, -1)
		must(tb, err)
		b, err := io.ReadAll(body)
		must(tb, err)
		must(tb, body.Close())
		if from != 0 || !bytes.Equal(b, blobs[i]) {
			tb.Fatalf("blob %s has changed", d.Digest)
		}
	}
	var seen []string
	must(tb, r.List(ctx, func(l oci.Listed) error { seen = append(seen, l.Tag); return nil }))
	slices.Sort(seen)
	slices.Sort(tags)
	if !slices.Equal(seen, tags) {
		tb.Fatalf("tags %v, want %v", seen, tags)
	}
}

func TestAnImageGoesToEachRegistryAndComesBackUnchanged(t *testing.T) {
	bearer := testbed.Auth{Mode: testbed.Bearer}
	for name, tt := range map[string]struct {
		serve   func(testing.TB, testbed.Options) *testbed.Registry
		options testbed.Options
	}{
		"distribution":        {serve: testbed.Distribution},
		"sloppy":              {serve: testbed.Sloppy},
		"docker-registry 2.8": {serve: testbed.DockerRegistry},
		"basic":               {testbed.Distribution, testbed.Options{Auth: testbed.Auth{Mode: testbed.Basic}}},
		"bearer":              {testbed.Distribution, testbed.Options{Auth: bearer}},
		"tls":                 {testbed.Distribution, testbed.Options{Scheme: testbed.HTTPS, Auth: bearer}},
		"h2":                  {testbed.Distribution, testbed.Options{Scheme: testbed.HTTPS, Protocol: testbed.HTTP2}},
	} {
		t.Run(name, func(t *testing.T) {
			r := tt.serve(t, tt.options)
			h := credential.Settings{}
			if strings.HasPrefix(r.URL, "https") {
				h.CAFile = r.CAFile(t)
			}
			c := client(t, withLogin, withHost(r, h))
			to := c.Open(repo(r, "team/app"), remote.Use{Actions: remote.Push})
			doc, blobs := put(t, to, "v1", "v2")
			check(t, to, doc, blobs, "v1", "v2")
			if t.Failed() {
				t.Log(r.Story())
			}
		})
	}
}

func TestADocumentThatACacheKnowsByItsTagOnlyIsAskedForByTag(t *testing.T) {
	noDigests := func() *hostile.Fault {
		return hostile.Status(404, nil, "").On("GET", testbed.Manifest).When(func(r *http.Request) bool {
			return strings.Contains(r.URL.Path, "sha256:")
		})
	}
	bubble(t, []*hostile.Fault{noDigests()}, func(b *bench) {
		one := b.another("v1")
		_, err := b.repo.Document(b.Context(), string(one.Digest))
		wantKind(b, err, fault.NotFound)
		b.count("GET", testbed.Manifest, 1) // no tag is known
		d, err := b.repo.Resolve(b.Context(), "v1")
		must(b, err)
		doc, err := b.repo.Document(b.Context(), string(d.Digest))
		must(b, err)
		if doc.Digest != one.Digest {
			b.Errorf("%s instead of %s", doc.Digest, one.Digest)
		}
		b.count("GET", testbed.Manifest, 3)
		testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{Seed: 10}) // the tag moves
		_, err = b.repo.Document(b.Context(), string(one.Digest))
		wantKind(b, err, fault.NotFound)
	})
}
