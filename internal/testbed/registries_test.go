package testbed_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
)

func TestDebiansRegistryIsTheOldOne(t *testing.T) {
	r := testbed.DockerRegistry(t, testbed.Options{})
	img := testbed.Index(t, r, "team/app", "v1", 2)
	testbed.Same(t, r, r, "team/app", "v1", "team/app", img.Digest())
	// Only 2.8.2 cannot delete a tag.
	if resp, _ := get(t, r, "DELETE", "/v2/team/app/manifests/v1", ""); resp.StatusCode != 400 {
		t.Errorf("delete tag: %s", resp.Status)
	}
	// Only 2.8.2 breaks the connection in its response to a range that starts at the end.
	layer := img.Layers[0]
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.URL+"/v2/team/app/blobs/"+layer.Digest.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", layer.Size))
	past, err := r.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(past.Body)
	_ = past.Body.Close()
	if past.StatusCode != 416 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("range past the end: %s, %v", past.Status, err)
	}
	resp, _ := get(t, r, "POST", "/v2/team/app/blobs/uploads/", "")
	if at := resp.Header.Get("Location"); !strings.HasPrefix(at, r.URL+"/v2/team/app/blobs/uploads/") {
		t.Errorf("Location %s is not at %s", at, r.URL)
	}
}

func TestSkopeoReadsWhatIsStoredAlsoBehindTLSAndTokens(t *testing.T) {
	for _, o := range []testbed.Options{
		{},
		{Scheme: testbed.HTTPS, Protocol: testbed.HTTP2},
		{Auth: testbed.Auth{Mode: testbed.Basic}},
		{Auth: testbed.Auth{Mode: testbed.Bearer}},
	} {
		r := testbed.Distribution(t, o)
		img := testbed.Index(t, r, "app", "v1", 2)
		if d := testbed.SkopeoInspect(t, r, "app", "v1"); d != img.Digest() {
			t.Errorf("%+v: skopeo reads %s, want %s", o.Auth.Mode, d, img.Digest())
		}
		if d := testbed.CraneDigest(t, r, "app", img.Digest()); d != img.Digest() {
			t.Errorf("%+v: crane reads %s, want %s", o.Auth.Mode, d, img.Digest())
		}
		r.Reset()
		testbed.SkopeoCopy(t, r, "app", "v1")
		if r.Count("GET", testbed.Blob) < img.Blobs {
			t.Errorf("skopeo did not read every blob:\n%s", r.Story())
		}
	}
}

// send sends one request with a body and returns the response.
func send(t *testing.T, r *testbed.Registry, method, target string, h http.Header, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, h)
	resp, err := r.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func TestASinkChecksWhatItForgets(t *testing.T) {
	sink := hollow.NewSink(t)
	r := testbed.Serve(t, sink, testbed.Options{})
	img := testbed.Index(t, r, "app", "v1", 3) // a sink refuses manifests before their blobs
	if sink.Blobs("app") != img.Blobs || sink.Bytes() != img.Bytes {
		t.Errorf("%d blobs, %d bytes; want %d, %d", sink.Blobs("app"), sink.Bytes(), img.Blobs, img.Bytes)
	}
	if _, body := get(t, r, "GET", "/v2/app/manifests/v1", ""); digest.FromString(body) != img.Root.Digest {
		t.Errorf("manifest %s", body)
	}
	layer := img.Layers[0]
	if resp, _ := get(t, r, "HEAD", "/v2/app/blobs/"+layer.Digest.String(), ""); resp.StatusCode != 200 || resp.ContentLength != layer.Size {
		t.Errorf("HEAD: %s %d", resp.Status, resp.ContentLength)
	}
	mount := url.Values{"mount": {layer.Digest.String()}, "from": {"app"}}.Encode()
	if resp := send(t, r, "POST", "/v2/b/blobs/uploads/?"+mount, nil, nil); resp.StatusCode != 201 {
		t.Errorf("mount: %s", resp.Status)
	}
	at := send(t, r, "POST", "/v2/app/blobs/uploads/", nil, nil).Header.Get("Location")
	wrong := "?digest=" + digest.FromString("other").String()
	if resp := send(t, r, "PUT", at+wrong, nil, strings.NewReader("this")); resp.StatusCode != 400 {
		t.Errorf("wrong digest: %s", resp.Status)
	}
	h := http.Header{"Content-Type": {"application/vnd.oci.image.manifest.v1+json"}}
	unknown := `{"layers":[{"digest":"` + digest.FromString("x").String() + `","size":1}]}`
	if resp := send(t, r, "PUT", "/v2/app/manifests/v2", h, strings.NewReader(unknown)); resp.StatusCode != 400 {
		t.Errorf("unknown layer: %s", resp.Status)
	}
}

func TestASinkTakesChunksInOrderOnlyAndTellsItsOffset(t *testing.T) {
	r := testbed.Serve(t, hollow.NewSink(t), testbed.Options{})
	data := bytes.Repeat([]byte("abcdefgh"), 1000)
	at := send(t, r, "POST", "/v2/app/blobs/uploads/", nil, nil).Header.Get("Location")
	send(t, r, "PATCH", at, http.Header{"Content-Range": {"0-3999"}}, bytes.NewReader(data[:4000]))
	if resp := send(t, r, "PATCH", at, http.Header{"Content-Range": {"5000-7999"}}, bytes.NewReader(data[5000:])); resp.StatusCode != 416 {
		t.Errorf("gap: %s", resp.Status)
	}
	if resp := send(t, r, "GET", at, nil, nil); resp.StatusCode != 204 || resp.Header.Get("Range") != "0-3999" {
		t.Errorf("status: %s %s", resp.Status, resp.Header.Get("Range"))
	}
	if resp := send(t, r, "PUT", at+"?digest="+digest.FromBytes(data).String(), nil, bytes.NewReader(data[4000:])); resp.StatusCode != 201 {
		t.Errorf("end: %s", resp.Status)
	}
	if resp := send(t, r, "GET", at, nil, nil); resp.StatusCode != 404 {
		t.Errorf("ended session: %s", resp.Status)
	}
}
