package testbed_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
)

// failures records what a judge reports.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, _ ...any) {
	f.said = append(f.said, format)
}

func TestEveryImageIsAcceptedByARealRegistryAndFoundWholeByTheJudges(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{})
	subject := testbed.Random(t, r, "subject", "v1", testbed.RandomOptions{Layers: 2}).Root
	for name, store := range map[string]func(repo string) testbed.Image{
		"random": func(repo string) testbed.Image {
			return testbed.Random(t, r, repo, "v1", testbed.RandomOptions{Layers: 3, Size: 100_000, Seed: 5})
		},
		"index-of-120": func(repo string) testbed.Image { return testbed.Index(t, r, repo, "v1", 120) },
		"nested":       func(repo string) testbed.Image { return testbed.Nested(t, r, repo, "v1", 5) },
		"hello-world":  func(repo string) testbed.Image { return testbed.HelloWorld(t, r, repo, "v1") },
		"helm":         func(repo string) testbed.Image { return testbed.HelmChart(t, r, repo, "v1") },
		"artifact":     func(repo string) testbed.Image { return testbed.Artifact(t, r, repo, "v1", subject) },
	} {
		t.Run(name, func(t *testing.T) {
			img := store(name)
			tally := testbed.Same(t, r, r, name, "v1", name, "v1")
			if tally.Manifests != img.Manifests || tally.Blobs != img.Blobs || tally.Bytes != img.Bytes {
				t.Errorf("judged %+v, stored %d manifests, %d blobs, %d bytes", tally, img.Manifests, img.Blobs, img.Bytes)
			}
			if d := testbed.CraneDigest(t, r, name, "v1"); d != img.Digest() {
				t.Errorf("crane reads %s, want %s", d, img.Digest())
			}
		})
	}
}

func TestIndexAndNestedHaveTheirNumbers(t *testing.T) {
	r := testbed.Sloppy(t, testbed.Options{})
	if img := testbed.Index(t, r, "a", "v1", 120); img.Manifests != 121 || img.Blobs != 241 {
		t.Errorf("index: %d manifests, %d blobs", img.Manifests, img.Blobs)
	}
	if img := testbed.Nested(t, r, "b", "v1", 5); img.Manifests != 6 || img.Blobs != 2 {
		t.Errorf("nested: %d manifests, %d blobs", img.Manifests, img.Blobs)
	}
}

func TestForeignLayersAreAbsentAndTheJudgeDoesNotMind(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	img := testbed.Foreign(t, r, "win", "v1")
	tally := testbed.Same(t, r, r, "win", "v1", "win", "v1")
	if tally.Blobs != 2 || img.Blobs != 2 || img.Root.MediaType != "application/vnd.docker.distribution.manifest.v2+json" {
		t.Errorf("%+v %+v", tally, img)
	}
}

func TestArtifactsAreFoundByTheAPIOrByTheFallbackTag(t *testing.T) {
	for name, r := range map[string]*testbed.Registry{
		"api":      testbed.Sloppy(t, testbed.Options{Referrers: testbed.WithReferrers}),
		"fallback": testbed.Distribution(t, testbed.Options{}),
	} {
		subject := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{}).Root
		testbed.Artifact(t, r, "app", "", subject)
		testbed.Artifact(t, r, "app", "second", subject)
		path := "/v2/app/referrers/" + subject.Digest.String()
		if name == "fallback" {
			path = "/v2/app/manifests/sha256-" + subject.Digest.Encoded()
		}
		resp, body := get(t, r, "GET", path, "")
		var list v1.Index
		if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != 200 || len(list.Manifests) != 2 {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
}

func TestSchema1IsWhatItSays(t *testing.T) {
	mediaType, raw := testbed.Schema1()
	var m struct{ SchemaVersion int }
	if err := json.Unmarshal(raw, &m); err != nil || m.SchemaVersion != 1 || !strings.HasSuffix(mediaType, "v1+prettyjws") {
		t.Errorf("%s %v", mediaType, err)
	}
}

func TestRegclientsLayoutIsWritableAndGoesIntoARegistry(t *testing.T) {
	dir := testbed.RegclientRepo(t)
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", "x"), nil, 0o600); err != nil {
		t.Error(err)
	}
	r := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	tags := testbed.Layout(t, r, "regclient", dir)
	if tags["loop"].Digest == "" || tags["v3"].MediaType != v1.MediaTypeImageIndex || len(tags) < 20 {
		t.Errorf("%d tags", len(tags))
	}
	if tally := testbed.Same(t, r, r, "regclient", "v3", "regclient", tags["v3"].Digest.String()); tally.Manifests < 3 {
		t.Errorf("%+v", tally)
	}
}

func TestSameFindsWhatIsMissingOrDifferent(t *testing.T) {
	handler := testbed.NewDistribution(t, testbed.Options{Content: testbed.Open})
	from := testbed.Distribution(t, testbed.Options{})
	to := testbed.Serve(t, handler, testbed.Options{})
	img := testbed.Index(t, from, "app", "v1", 2)
	judge := func(to *testbed.Registry, want ...string) {
		t.Helper()
		f := &failures{TB: t}
		testbed.Same(f, from, to, "app", "v1", "app", "v1")
		if !slices.Equal(f.said, want) {
			t.Errorf("judge said %q, want %q", f.said, want)
		}
	}
	judge(to, "target: no manifest %s:%s")
	testbed.Random(t, to, "app", "v1", testbed.RandomOptions{})
	judge(to, "target: %s:%s is %s, want %s")
	_, raw := get(t, from, "GET", "/v2/app/manifests/v1", "")
	to.Manifest(t, "app", "v1", img.Root.MediaType, []byte(raw)) // a sparse index: it has no child here
	judge(to, "target: no manifest %s@%s", "target: no manifest %s@%s")
	testbed.Index(t, to, "app", "v1", 2)
	judge(to)
	to.Direct(t, "DELETE", "/v2/app/blobs/"+img.Layers[0].Digest.String(), nil, nil, nil)
	judge(to, "target: no blob %s@%s: %s")
	testbed.Index(t, to, "app", "v1", 2)
	flip := hostile.FlipBit(100).At(img.Layers[1].Digest.String())
	judge(testbed.Serve(t, hostile.Wrap(handler, flip), testbed.Options{}),
		"target: blob %s@%s is corrupt: %d bytes, want %d")
	flip = hostile.FlipBit(100).On("GET", testbed.Manifest).At(img.Children[1].Digest.String())
	judge(testbed.Serve(t, hostile.Wrap(handler, flip), testbed.Options{}), "target: manifest %s@%s is corrupt")
}

func TestSparseServesGigabytesFromNothing(t *testing.T) {
	size := int64(8 << 20)
	if !testing.Short() {
		size = 2<<30 + 1
	}
	r, img := hollow.Sparse(t, size, testbed.Options{})
	path := "/v2/sparse/blobs/" + img.Layers[0].Digest.String()
	resp, _ := get(t, r, "HEAD", path, "")
	if resp.ContentLength != size {
		t.Errorf("HEAD: %d bytes", resp.ContentLength)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=-10")
	resp, err = r.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 10 || resp.StatusCode != 206 {
		t.Errorf("range: %s, %d bytes, %v", resp.Status, len(b), err)
	}
	if size < 1<<30 {
		testbed.Same(t, r, r, "sparse", "v1", "sparse", img.Digest())
	}
}

func TestBusyboxIsARealImageThatUnpacksAndRuns(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{})
	img := testbed.Busybox(t, r, "library/busybox", "v1")
	if img.Manifests != 3 || img.Blobs != 4 || img.Bytes < 1<<20 {
		t.Errorf("%+v", img)
	}
	testbed.Same(t, r, r, "library/busybox", "v1", "library/busybox", img.Digest())
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return
	}
	root := testbed.UmociUnpack(t, r, "library/busybox", "v1")
	// The program is static, so it runs anywhere.
	out, err := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "busybox"), "echo", "hello").Output()
	if err != nil || string(out) != "hello\n" {
		t.Errorf("%q, %v", out, err)
	}
}
