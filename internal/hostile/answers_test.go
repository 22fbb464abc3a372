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
)

func TestStatusReadsTheRequestAndAnswersAsTold(t *testing.T) {
	f := hostile.Status(418, http.Header{"x-why": {"tea"}}, "no").On("PATCH", testbed.Upload)
	b := newBench(t, f)
	resp, got := b.must("PATCH", b.upload(), nil, testbed.Noise(1, 5<<20))
	if resp.StatusCode != 418 || string(got) != "no" || resp.Header.Get("X-Why") != "tea" {
		t.Errorf("%s %q %v", resp.Status, got, resp.Header)
	}
	if in, _ := b.Sent("PATCH", testbed.Upload); in != 5<<20 {
		t.Errorf("the handler read %d bytes", in)
	}
	fired(t, f, 1)
}

func TestErrorHasTheSpecificationsForm(t *testing.T) {
	b := newBench(t, hostile.Error(507, "DENIED", "no space left").On("POST", ""))
	resp, got := b.must("POST", "/v2/app/blobs/uploads/", nil, nil)
	var m struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(got, &m); err != nil || resp.StatusCode != 507 || m.Errors[0].Code != "DENIED" {
		t.Errorf("%s %s %v", resp.Status, got, err)
	}
}

func TestTooManySendsAnyRetryAfter(t *testing.T) {
	for _, v := range []string{"2", "-1", "soon", "999999999999999999999", ""} {
		f := hostile.TooMany(v).Once()
		b := newBench(t, f)
		resp, _ := b.must("GET", "/v2/", nil, nil)
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != v {
			t.Errorf("%q: %s %q", v, resp.Status, resp.Header.Get("Retry-After"))
		}
		fired(t, f, 1)
	}
	b := newBench(t, hostile.TooManyUntil(time.Hour))
	resp, _ := b.must("GET", "/v2/", nil, nil)
	at, err := http.ParseTime(resp.Header.Get("Retry-After"))
	if wait := time.Until(at); err != nil || wait < 59*time.Minute || wait > 61*time.Minute {
		t.Errorf("date: %s %v", resp.Header.Get("Retry-After"), err)
	}
}

func TestRedirectToSendsTheClientAway(t *testing.T) {
	for given, want := range map[int]int{0: 307, 302: 302} {
		f := hostile.RedirectTo("http://elsewhere.test/x", given)
		b := newBench(t, f)
		resp, _ := b.must("GET", b.blob, nil, nil)
		if resp.StatusCode != want || resp.Header.Get("Location") != "http://elsewhere.test/x" {
			t.Errorf("%d: %s %v", given, resp.Status, resp.Header)
		}
		fired(t, f, 1)
	}
}

func TestOtherManifestClaimsToBeWhatWasAskedFor(t *testing.T) {
	raw := []byte(`{"schemaVersion":2}`)
	f := hostile.OtherManifest("application/vnd.oci.image.manifest.v1+json", raw)
	b := newBench(t, f)
	resp, got := b.must("GET", "/v2/app/manifests/"+b.img.Digest(), nil, nil)
	if !bytes.Equal(got, raw) || resp.Header.Get("Docker-Content-Digest") != b.img.Digest() {
		t.Errorf("%s %v", got, resp.Header)
	}
	resp, _ = b.must("GET", "/v2/app/manifests/v1", nil, nil)
	if resp.Header.Get("Docker-Content-Digest") != digest.FromBytes(raw).String() {
		t.Errorf("by tag: %v", resp.Header)
	}
	fired(t, f, 2)
}

func TestEndlessManifestDoesNotEnd(t *testing.T) {
	f := hostile.EndlessManifest()
	b := newBench(t, f)
	resp, err := b.Client.Get(b.URL + "/v2/app/manifests/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.CopyN(io.Discard, resp.Body, 32<<20); err != nil {
		t.Errorf("ended after %d bytes: %v", n, err)
	}
	fired(t, f, 1)
}

func TestHugePageIsValidJSONOfItsSize(t *testing.T) {
	f := hostile.HugePage(2 << 20)
	b := newBench(t, f)
	_, got := b.must("GET", "/v2/app/tags/list", nil, nil)
	var m struct{ Tags []string }
	if err := json.Unmarshal(got, &m); err != nil || len(got) < 2<<20 || len(m.Tags) < 1000 {
		t.Errorf("%d bytes, %d tags, %v", len(got), len(m.Tags), err)
	}
	fired(t, f, 1)
}

func TestLinksLeadToThePageItselfOrAway(t *testing.T) {
	self := hostile.LinkSelf()
	b := newBench(t, self)
	resp, _ := b.must("GET", "/v2/app/tags/list?n=1", nil, nil)
	if got := resp.Header.Get("Link"); got != `</v2/app/tags/list?n=1>; rel="next"` {
		t.Errorf("LinkSelf: %s", got)
	}
	fired(t, self, 1)
	away := hostile.LinkTo("http://elsewhere.test/v2/app/tags/list")
	b = newBench(t, away)
	resp, _ = b.must("GET", "/v2/app/tags/list", nil, nil)
	if got := resp.Header.Get("Link"); got != `<http://elsewhere.test/v2/app/tags/list>; rel="next"` {
		t.Errorf("LinkTo: %s", got)
	}
	fired(t, away, 1)
}

func TestHeadersOfManifestsLie(t *testing.T) {
	wrong, none, kind := hostile.WrongDigestHeader(), hostile.NoDigestHeader(), hostile.WrongContentType("text/plain")
	for name, c := range map[string]struct {
		f    *hostile.Fault
		lies func(http.Header, string) bool
	}{
		"wrong digest": {wrong, func(h http.Header, d string) bool { return h.Get("Docker-Content-Digest") != d }},
		"no digest":    {none, func(h http.Header, _ string) bool { return h.Get("Docker-Content-Digest")+h.Get("ETag") == "" }},
		"wrong type":   {kind, func(h http.Header, _ string) bool { return h.Get("Content-Type") == "text/plain" }},
		"any header": {hostile.Header("Content-Type", "").On("", testbed.Manifest),
			func(h http.Header, _ string) bool {
				return h.Get("Content-Type") != "application/vnd.oci.image.manifest.v1+json"
			}},
	} {
		b := newBench(t, c.f)
		for _, method := range []string{"HEAD", "GET"} {
			resp, _ := b.must(method, "/v2/app/manifests/v1", nil, nil)
			if resp.StatusCode != 200 || !c.lies(resp.Header, b.img.Digest()) {
				t.Errorf("%s, %s: %s %v", name, method, resp.Status, resp.Header)
			}
		}
		fired(t, c.f, 2)
	}
}

func TestLocationToRewritesWhereToUpload(t *testing.T) {
	f := hostile.LocationTo(func(at string) string { return "http://elsewhere.test/?was=" + at })
	b := newBench(t, f)
	resp, _ := b.must("POST", "/v2/app/blobs/uploads/", nil, nil)
	if at := resp.Header.Get("Location"); resp.StatusCode != 202 || !strings.HasPrefix(at, "http://elsewhere.test/?was=http") {
		t.Errorf("%s %s", resp.Status, at)
	}
	fired(t, f, 1)
}

func TestRealmToSendsPasswordsAway(t *testing.T) {
	f := hostile.RealmTo("http://elsewhere.test/token")
	b := serveBench(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer}}, f)
	resp, _ := b.must("GET", "/v2/app/manifests/v1", nil, nil)
	c := resp.Header.Get("WWW-Authenticate")
	if resp.StatusCode != 401 || !strings.HasPrefix(c, `Bearer realm="http://elsewhere.test/token",service=`) {
		t.Errorf("%s %s", resp.Status, c)
	}
	fired(t, f, 1)
}

func TestEarly401RefusesAGoodTokenOnceWithARealChallenge(t *testing.T) {
	f := hostile.Early401().Once()
	b := serveBench(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer}}, f)
	_, got := b.must("GET", b.Issuer.URL+"?scope=repository:app:pull", http.Header{"Authorization": {"Basic dXNlcjpzZWNyZXQtY2FuYXJ5LTdmM2E5MQ=="}}, nil)
	var m struct{ Token string }
	if err := json.Unmarshal(got, &m); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	bearer := http.Header{"Authorization": {"Bearer " + m.Token}}
	resp, _ := b.must("GET", b.blob, bearer, nil)
	if resp.StatusCode != 401 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), "scope=") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if resp, _ = b.must("GET", b.blob, bearer, nil); resp.StatusCode != 200 {
		t.Errorf("second try: %s", resp.Status)
	}
	fired(t, f, 1)
}

func TestLyingHeadClaimsABlobThatIsAbsent(t *testing.T) {
	f := hostile.LyingHead(7)
	b := newBench(t, f)
	absent := "/v2/app/blobs/" + digest.FromString("absent").String()
	if resp, _ := b.must("HEAD", absent, nil, nil); resp.StatusCode != 200 || resp.ContentLength != 7 {
		t.Errorf("%s %d", resp.Status, resp.ContentLength)
	}
	if resp, _ := b.must("GET", absent, nil, nil); resp.StatusCode != 404 {
		t.Errorf("GET: %s", resp.Status)
	}
	fired(t, f, 1)
}
