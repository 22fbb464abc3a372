package hostile_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

const size = 300_000

// bench is a hostile registry with one image, and a client.
type bench struct {
	*testing.T
	*testbed.Registry
	img  testbed.Image
	blob string // path of the image's layer
	data []byte // content of the layer
}

func newBench(t *testing.T, faults ...*hostile.Fault) *bench {
	t.Helper()
	return serveBench(t, testbed.Options{}, faults...)
}

func serveBench(t *testing.T, o testbed.Options, faults ...*hostile.Fault) *bench {
	t.Helper()
	r := hostile.Serve(t, testbed.NewDistribution(t, testbed.Options{}), o, faults...)
	img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{Size: size})
	data, err := io.ReadAll(testbed.Noise(0, size))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, r, img, "/v2/app/blobs/" + img.Layers[0].Digest.String(), data}
}

// ask returns the response, the part of its body that arrived, and the error that ended either of
// them.
func (b *bench) ask(method, target string, h http.Header, body io.Reader) (*http.Response, []byte, error) {
	b.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.URL + target
	}
	req, err := http.NewRequestWithContext(b.Context(), method, target, body)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	maps.Copy(req.Header, h)
	resp, err := b.Client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, got, err
}

// must is ask for requests that must get a complete response.
func (b *bench) must(method, target string, h http.Header, body io.Reader) (*http.Response, []byte) {
	b.Helper()
	resp, got, err := b.ask(method, target, h, body)
	if err != nil {
		b.Fatalf("%s %s: %v", method, target, err)
	}
	return resp, got
}

// upload opens an upload session and returns its URL.
func (b *bench) upload() string {
	b.Helper()
	resp, _ := b.must("POST", "/v2/app/blobs/uploads/", nil, nil)
	if resp.StatusCode != http.StatusAccepted {
		b.Fatal(resp.Status)
	}
	return resp.Header.Get("Location")
}

// ending returns the URL that completes an upload of data.
func ending(session string, data []byte) string {
	u, err := url.Parse(session)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set("digest", digest.FromBytes(data).String())
	u.RawQuery = q.Encode()
	return u.String()
}

func fired(t *testing.T, f *hostile.Fault, want int) {
	t.Helper()
	if n := f.Fired(); n != want {
		t.Errorf("fired %d times, want %d", n, want)
	}
}

var firstKiB = http.Header{"Range": {"bytes=1000-2023"}}

func TestAFaultFiresOnlyWhereAndWhenItIsTold(t *testing.T) {
	f := hostile.Status(503, nil, "").On("GET", testbed.Blob).In("app").Times(2)
	b := newBench(t, f)
	testbed.Random(t, b.Registry, "other", "v1", testbed.RandomOptions{Size: size})
	b.must("GET", "/v2/app/manifests/v1", nil, nil)
	b.must("HEAD", b.blob, nil, nil)
	b.must("GET", strings.Replace(b.blob, "app", "other", 1), nil, nil)
	fired(t, f, 0)
	for i, want := range []int{503, 503, 200} {
		if resp, _ := b.must("GET", b.blob, nil, nil); resp.StatusCode != want {
			t.Errorf("hit %d: %s", i+1, resp.Status)
		}
	}
	fired(t, f, 2)
	if f.Hits() != 3 {
		t.Errorf("%d hits", f.Hits())
	}
}

func TestNthAndAtChooseSingleRequests(t *testing.T) {
	f := hostile.Status(500, nil, "").On("", testbed.Manifest).At("v1").Nth(2, 4)
	b := newBench(t, f)
	b.must("GET", "/v2/app/manifests/"+b.img.Digest(), nil, nil)
	for i, want := range []int{200, 500, 200, 500, 200} {
		if resp, _ := b.must("GET", "/v2/app/manifests/v1", nil, nil); resp.StatusCode != want {
			t.Errorf("hit %d: %s", i+1, resp.Status)
		}
	}
	fired(t, f, 2)
}

func TestFaultsNestAndBothAct(t *testing.T) {
	cut, flip := hostile.CutBodyAt(1000), hostile.FlipBit(10)
	b := newBench(t, cut, flip)
	_, got, err := b.ask("GET", b.blob, nil, nil)
	if err == nil || len(got) != 1000 || got[10] != b.data[10]^1 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	fired(t, cut, 1)
	fired(t, flip, 1)
}

func TestElsewhereHearsEveryKindOfCredential(t *testing.T) {
	c := hostile.Elsewhere(t, testbed.Options{})
	b := &bench{T: t, Registry: c.Registry}
	b.must("GET", "/token?scope=repository:a:pull", nil, nil)
	b.must("GET", "/v2/a/blobs/sha256:x", nil, nil)
	if all := c.Credentials(); len(all) != 0 {
		t.Fatalf("reported %q for requests without credentials", all)
	}
	b.must("PATCH", "/v2/a/blobs/uploads/1", http.Header{"Authorization": {"Bearer t"}}, strings.NewReader("x"))
	b.must("POST", "/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader("password=p"))
	b.must("GET", "/x?access_token=q", http.Header{"Cookie": {"s=1"}}, nil)
	heard := strings.Join(c.Credentials(), "\n")
	for _, want := range []string{"Authorization: Bearer t", "form password: p", "query access_token: q", "Cookie: s=1"} {
		if !strings.Contains(heard, want) {
			t.Errorf("%q not in %s", want, heard)
		}
	}
	if c.Requests() != 5 {
		t.Errorf("%d requests recorded", c.Requests())
	}
}

func TestElsewherePlaysAlongWithUploads(t *testing.T) {
	c := hostile.Elsewhere(t, testbed.Options{})
	b := &bench{T: t, Registry: c.Registry}
	resp, _ := b.must("PATCH", "/v2/a/blobs/uploads/1", nil, strings.NewReader("abc"))
	if resp.StatusCode != 202 || resp.Header.Get("Range") != "0-2" {
		t.Errorf("PATCH: %s %v", resp.Status, resp.Header)
	}
	if resp, _ = b.must("PUT", "/v2/a/blobs/uploads/1?digest=sha256:x", nil, nil); resp.StatusCode != 201 {
		t.Errorf("PUT: %s", resp.Status)
	}
}

func TestFaultsWorkOverTLSAndHTTP2(t *testing.T) {
	for _, o := range []testbed.Options{
		{Scheme: testbed.HTTPS},
		{Protocol: testbed.HTTP2},
		{Scheme: testbed.HTTPS, Protocol: testbed.HTTP2},
	} {
		f := hostile.CutBodyAt(1000).Once()
		b := serveBench(t, o, f)
		_, got, err := b.ask("GET", b.blob, nil, nil)
		if err == nil || len(got) > 1000 {
			t.Errorf("%+v: %d bytes, %v", o, len(got), err)
		}
		if _, got, err = b.ask("GET", b.blob, nil, nil); err != nil || !bytes.Equal(got, b.data) {
			t.Errorf("%+v: second try: %d bytes, %v", o, len(got), err)
		}
		fired(t, f, 1)
	}
}
