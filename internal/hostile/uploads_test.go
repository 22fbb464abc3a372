package hostile_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
)

// stream hides the length of an upload body from net/http.
func stream(data []byte) io.Reader { return io.MultiReader(bytes.NewReader(data)) }

func TestCutRequestAtLeavesTheSessionWithExactlyNBytes(t *testing.T) {
	const n = 100_000
	for _, method := range []string{"PATCH", "PUT"} {
		f := hostile.CutRequestAt(n).Once()
		b := newBench(t, f)
		data := append([]byte(method), b.data...)
		session := b.upload()
		target := session
		if method == "PUT" {
			target = ending(session, data)
		}
		if _, _, err := b.ask(method, target, nil, bytes.NewReader(data)); err == nil {
			t.Errorf("%s was answered", method)
		}
		resp, _ := b.must("GET", session, nil, nil)
		if resp.StatusCode != 204 || resp.Header.Get("Range") != "0-99999" {
			t.Errorf("%s: status %s, Range %s", method, resp.Status, resp.Header.Get("Range"))
		}
		resp, _ = b.must("PUT", ending(resp.Header.Get("Location"), data), nil, bytes.NewReader(data[n:]))
		if resp.StatusCode != 201 {
			t.Errorf("%s: going on: %s", method, resp.Status)
		}
		fired(t, f, 1)
	}
}

func TestOtherRegistriesKeepOrLoseACutUploadInTheirOwnWay(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.Handler
		status  int
		rng     string
	}{
		"distribution on disk": {testbed.NewDistribution(t, testbed.Options{Dir: t.TempDir()}), 204, "0-99999"},
		"sink":                 {hollow.NewSink(t), 204, "0-99999"},
		"docker-registry":      {testbed.NewDockerRegistry(t, testbed.Options{}), 404, ""},
	} {
		f := hostile.CutRequestAt(100_000).Once()
		b := &bench{T: t, Registry: hostile.New(t, c.handler, f)}
		session := b.upload()
		if _, _, err := b.ask("PATCH", session, nil, bytes.NewReader(make([]byte, size))); err == nil {
			t.Errorf("%s: PATCH was answered", name)
		}
		if resp, _ := b.must("GET", session, nil, nil); resp.StatusCode != c.status || resp.Header.Get("Range") != c.rng {
			t.Errorf("%s: %s, Range %s", name, resp.Status, resp.Header.Get("Range"))
		}
		fired(t, f, 1)
	}
}

func TestDropRequestAtMakesTheSessionUnknown(t *testing.T) {
	f := hostile.DropRequestAt(1000).Once()
	b := newBench(t, f)
	session := b.upload()
	if _, _, err := b.ask("PATCH", session, nil, bytes.NewReader(b.data)); err == nil {
		t.Error("PATCH was answered")
	}
	if resp, body := b.must("GET", session, nil, nil); resp.StatusCode != 404 || !strings.Contains(string(body), "BLOB_UPLOAD_UNKNOWN") {
		t.Errorf("%s %s", resp.Status, body)
	}
	fired(t, f, 1)
}

func TestDropRequestAtWorksWithATokenForPushAlone(t *testing.T) {
	f := hostile.DropRequestAt(1000).Once()
	b := serveBench(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer}}, f)
	_, got := b.must("GET", b.Issuer.URL+"?scope=repository:app:pull,push", http.Header{"Authorization": {"Basic dXNlcjpzZWNyZXQtY2FuYXJ5LTdmM2E5MQ=="}}, nil)
	var m struct{ Token string }
	if err := json.Unmarshal(got, &m); err != nil {
		t.Fatal(err)
	}
	bearer := http.Header{"Authorization": {"Bearer " + m.Token}}
	resp, _ := b.must("POST", "/v2/app/blobs/uploads/", bearer, nil)
	session := resp.Header.Get("Location")
	if _, _, err := b.ask("PATCH", session, bearer, bytes.NewReader(b.data)); err == nil {
		t.Error("PATCH was answered")
	}
	if resp, _ := b.must("GET", session, bearer, nil); resp.StatusCode != 404 {
		t.Errorf("the session still exists: %s", resp.Status)
	}
	fired(t, f, 1)
}

func TestLoseAnswerCommitsAndSaysNothing(t *testing.T) {
	f := hostile.LoseAnswer().On("PUT", "").Times(2)
	b := newBench(t, f)
	data := []byte("a new blob")
	if _, _, err := b.ask("PUT", ending(b.upload(), data), nil, stream(data)); err == nil {
		t.Error("blob PUT was answered")
	}
	if resp, _ := b.must("HEAD", "/v2/app/blobs/"+digest.FromBytes(data).String(), nil, nil); resp.StatusCode != 200 {
		t.Errorf("blob was not committed: %s", resp.Status)
	}
	_, raw := b.must("GET", "/v2/app/manifests/v1", nil, nil)
	h := http.Header{"Content-Type": {b.img.Root.MediaType}}
	if _, _, err := b.ask("PUT", "/v2/app/manifests/v2", h, stream(raw)); err == nil {
		t.Error("manifest PUT was answered")
	}
	if resp, _ := b.must("HEAD", "/v2/app/manifests/v2", nil, nil); resp.StatusCode != 200 {
		t.Errorf("manifest was not committed: %s", resp.Status)
	}
	fired(t, f, 2)
}

func TestStopReadingHoldsAnUploadBackAndThenTakesIt(t *testing.T) {
	f := hostile.StopReading(1000, 300*time.Millisecond).Once()
	b := newBench(t, f)
	data := append([]byte("x"), b.data...)
	start := time.Now()
	resp, _ := b.must("PUT", ending(b.upload(), data), nil, bytes.NewReader(data))
	if resp.StatusCode != 201 || time.Since(start) < 300*time.Millisecond {
		t.Errorf("%s after %s", resp.Status, time.Since(start))
	}
	fired(t, f, 1)
}

func TestStopReadingForEverFillsTheBuffersAndEndsWithTheTest(t *testing.T) {
	f := hostile.StopReading(1000, 0)
	b := newBench(t, f)
	b.Client.Timeout = 300 * time.Millisecond
	endless := &counted{r: testbed.Noise(1, 1<<30)}
	if _, _, err := b.ask("PATCH", b.upload(), nil, endless); err == nil {
		t.Error("PATCH was answered")
	}
	if endless.n > 100<<20 {
		t.Errorf("%d bytes went out", endless.n)
	}
	fired(t, f, 1)
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func TestLying201StoresNothing(t *testing.T) {
	f := hostile.Lying201("sha256:" + strings.Repeat("0", 64))
	b := newBench(t, f)
	_, raw := b.must("GET", "/v2/app/manifests/v1", nil, nil)
	resp, _ := b.must("PUT", "/v2/app/manifests/v2", http.Header{"Content-Type": {b.img.Root.MediaType}}, bytes.NewReader(raw))
	if resp.StatusCode != 201 || resp.Header.Get("Docker-Content-Digest") == b.img.Digest() {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if resp, _ = b.must("HEAD", "/v2/app/manifests/v2", nil, nil); resp.StatusCode != 404 {
		t.Errorf("the manifest was stored: %s", resp.Status)
	}
	fired(t, f, 1)
}

func TestTooLargeRefusesByLengthAndByBytesAndLetsSmallBodiesPass(t *testing.T) {
	f := hostile.TooLarge(10_000)
	b := newBench(t, f)
	session := b.upload()
	for name, body := range map[string]io.Reader{"known length": bytes.NewReader(b.data), "unknown length": stream(b.data)} {
		if resp, _ := b.must("PATCH", session, nil, body); resp.StatusCode != 413 {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	small := b.data[:10_000]
	if resp, _ := b.must("PUT", ending(session, small), nil, bytes.NewReader(small)); resp.StatusCode != 201 {
		t.Errorf("small: %s", resp.Status)
	}
	fired(t, f, 3)
}

func TestMountAnswersRefuseOrOpenAnUpload(t *testing.T) {
	for _, code := range []int{202, 404, 403, 405, 500} {
		f := hostile.MountAnswers(code)
		b := newBench(t, f)
		d := b.img.Layers[0].Digest.String()
		resp, _ := b.must("POST", "/v2/other/blobs/uploads/?from=app&mount="+d, nil, nil)
		if resp.StatusCode != code || code == 202 && resp.Header.Get("Location") == "" {
			t.Errorf("%d: %s", code, resp.Status)
		}
		if resp, _ = b.must("HEAD", "/v2/other/blobs/"+d, nil, nil); resp.StatusCode != 404 {
			t.Errorf("%d: the blob exists: %s", code, resp.Status)
		}
		b.upload()
		fired(t, f, 1)
	}
}
