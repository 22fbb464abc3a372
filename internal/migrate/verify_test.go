package migrate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestRegistriesAreComparedByOneListingOrOneHeadForEachName(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "moved", "gone")
	y.Tagged("team/web", "1.0")
	y.Transfers(yard.Whole())
	testbed.Random(t, y.Src, "app", "moved", testbed.RandomOptions{Seed: 99})
	testbed.Random(t, y.Src, "app", "new", testbed.RandomOptions{Seed: 98})
	testbed.Random(t, y.Dst, "app", "extra", testbed.RandomOptions{Seed: 97})
	y.Forget()
	rec := y.Verifies("app:moved differs, app:new missing", dray.VerifyRequest{Of: yard.Whole()})
	if rec.Names != 6 || rec.Repositories != 2 || rec.Extra != 1 || rec.Matches[dray.Same] != 4 || rec.Right() || len(rec.Troubles) != 2 {
		t.Errorf("%+v", rec)
	}
	y.WantSpent("GET catalog ×1, GET tags ×2, HEAD manifest ×6", "GET tags ×2, HEAD manifest ×5")
	if e := rec.Troubles[0]; e.Source == e.Target || e.Source == "" || e.Target == "" {
		t.Errorf("%+v", e)
	}
	if rec.Traffic[y.Dst.Host].Requests != y.Dst.Requests() {
		t.Errorf("%+v, the target counted %d", rec.Traffic, y.Dst.Requests())
	}
}

func excluded(t *testing.T, entries ...string) plan.Patterns {
	t.Helper()
	ps, err := plan.ParsePatterns(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func TestSelectionAndMappingOfAVerificationAreThoseOfTheTransfer(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team/app", "v1", "dev-1")
	req := dray.TransferRequest{Sources: []string{"src/team/"}, Target: "dst/mirror/",
		Mapping: plan.Mapping{Flatten: true}, Selection: plan.Selection{ExcludeTags: excluded(t, "dev-*")},
		Map: plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "stable"}}}}
	y.Transfers(req)
	if rec := y.Verifies("", dray.VerifyRequest{Of: req}); rec.Names != 1 || !rec.Right() {
		t.Errorf("%+v", rec)
	}
}

func TestOneImageAndALayoutAreVerified(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	dir := "oci:" + filepath.Join(t.TempDir(), "x")
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:one"}}))
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{dir}, Tags: dray.AllTags}))
	y.Forget()
	y.Verifies("", dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{"src/app:v1"}, Target: "dst/app:one"}})
	y.WantSpent("HEAD manifest ×1", "HEAD manifest ×1")
	y.Verifies("app:v1 missing", dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{"src/app:v1"}, Target: "dst/app"}})
	if rec := y.Verifies("", dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{"src/app"}, Target: dir}, Depth: dray.Rehash}); rec.Names != 2 || rec.Looked.Read != rec.Looked.Blobs || rec.Looked.Read == 0 {
		t.Errorf("%+v", rec)
	}
	for _, bad := range []dray.VerifyRequest{
		{Of: dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app:v1"}},
		{Of: yard.Whole(), Depth: "bottom"},
		{Of: yard.Whole(), Sample: 5},
		{Of: yard.Whole(), Heal: true},
	} {
		if _, _, err := y.Verified(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestWhatIsGoneBehindTheRegistrysBackIsFoundAndHealed(t *testing.T) {
	y, dir := yard.Disk(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 3, Size: 3000})
	multi := testbed.Index(t, y.Src, "multi", "v1", 3)
	testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Layers: 1, Seed: 7})
	y.Transfers(yard.Whole())
	yard.Remove(t, yard.Data(t, dir, string(img.Layers[1].Digest)))
	yard.Remove(t, yard.Data(t, dir, string(multi.Children[2].Digest)))
	deep := dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep}
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole()})
	rec := y.Verifies("app:v1 incomplete layer=missing, multi:v1 incomplete child=missing", deep)
	if l := rec.Troubles[0].Lacks[0]; l.Digest != img.Layers[1].Digest || l.Size != img.Layers[1].Size {
		t.Errorf("%+v", l)
	}
	deep.Heal = true
	y.Forget()
	rec = y.Verifies("app:v1 same healed, multi:v1 same healed", deep)
	if !rec.Right() || rec.Healed != 2 {
		t.Errorf("%+v", rec)
	}
	if puts := y.Dst.Count("PUT", testbed.Manifest); puts != 1 || y.Dst.Count("PUT", testbed.Upload) != 1 {
		t.Errorf("%d manifests were put, want only the child\n%s", puts, y.Dst.Story())
	}
	y.Forget()
	y.Verifies("", deep)
	if y.Dst.Count("PUT", "") != 0 {
		t.Error("nothing was missing, so nothing was healed")
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v1")
	testbed.Same(t, y.Src, y.Dst, "multi", "v1", "multi", "v1")
}

func TestOnlyReadingFindsWrongBytes(t *testing.T) {
	y, dir := yard.Disk(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 2000})
	y.Transfers(yard.Whole())
	yard.Spoil(t, yard.Data(t, dir, string(img.Layers[0].Digest)))
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep})
	y.Verifies("app:v1 corrupt layer=corrupt", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Rehash})

	// This registry does not replace bytes that it has. The repair must report this.
	got, rec, err := y.Verified(dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Rehash, Heal: true})
	if err != nil || got != "app:v1 corrupt layer=corrupt" || rec.Healed != 0 || len(rec.Troubles) != 1 || !fault.Is(rec.Troubles[0].Err, fault.Corrupt) || fault.HintOf(rec.Troubles[0].Err) == "" {
		t.Errorf("%s %v %+v", got, err, rec.Troubles)
	}
}

func TestWrongBytesInALayoutAreHealed(t *testing.T) {
	y := yard.New(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 2000})
	dir := filepath.Join(t.TempDir(), "x")
	of := dray.TransferRequest{Sources: []string{"src/app"}, Target: "oci:" + dir}
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"oci:" + dir}, Tags: dray.AllTags}))
	file := func(digest string) string {
		return filepath.Join(dir, "blobs/sha256", strings.TrimPrefix(digest, "sha256:"))
	}
	yard.Spoil(t, file(string(img.Layers[0].Digest)))
	yard.Write(t, file(string(img.Layers[1].Digest)), []byte("short"))
	yard.Spoil(t, file(img.Digest()))
	y.Verifies("x:v1 corrupt manifest=corrupt layer=corrupt layer=missing", dray.VerifyRequest{Of: of, Depth: dray.Rehash})
	y.Verifies("x:v1 same healed", dray.VerifyRequest{Of: of, Depth: dray.Rehash, Heal: true})
	y.Verifies("", dray.VerifyRequest{Of: of, Depth: dray.Rehash})
}

func TestABlobOfAnotherSizeIsNotThere(t *testing.T) {
	y, dir := yard.Disk(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 2000})
	y.Transfers(yard.Whole())
	yard.Write(t, yard.Data(t, dir, string(img.Layers[0].Digest)), []byte("short"))
	y.Verifies("app:v1 incomplete layer=missing", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep})
}

func TestAnIndexOf120ChildrenIsProvenWithOneQuestionForEachPart(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "multi", "v1", 120)
	y.Transfers(yard.Whole())
	y.Forget()
	rec := y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep})
	if rec.Looked.Documents != 121 || y.Dst.Count("GET", testbed.Manifest) != 121 || y.Dst.Count("HEAD", testbed.Blob) != rec.Looked.Blobs || y.Dst.Count("GET", testbed.Blob) != 0 {
		t.Errorf("%+v\n%s", rec.Looked, yard.Spent(y.Dst))
	}
	if n := y.Src.Count("HEAD", testbed.Manifest) + y.Src.Count("GET", testbed.Blob); n != 1 {
		t.Errorf("%s", yard.Spent(y.Src))
	}
}

func TestSharedBlobsAreAskedForOnceAndReadOnce(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	var raw bytes.Buffer
	y.Src.Direct(t, "GET", "/v2/app/manifests/v1", http.Header{"Accept": {"application/vnd.oci.image.manifest.v1+json"}}, nil, &raw)
	for i := range 20 {
		y.Src.Manifest(t, "app", fmt.Sprintf("same%d", i), "application/vnd.oci.image.manifest.v1+json", raw.Bytes())
	}
	y.Transfers(yard.Whole())
	y.Forget()
	rec := y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Rehash})
	if rec.Names != 21 || rec.Looked.Documents != 1 || y.Dst.Count("HEAD", testbed.Blob) != rec.Looked.Blobs || y.Dst.Count("GET", testbed.Blob) != rec.Looked.Blobs {
		t.Errorf("%+v %s", rec.Looked, yard.Spent(y.Dst))
	}
}

func TestASampleIsTheSameEachTime(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "multi", "v1", 30)
	y.Transfers(yard.Whole())
	y.Forget()
	read := func() (paths []string) {
		y.Dst.Reset()
		y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Rehash, Sample: 40})
		for _, q := range y.Dst.Log() {
			if q.Method == http.MethodGet && q.Kind == testbed.Blob {
				paths = append(paths, q.Path)
			}
		}
		slices.Sort(paths)
		return paths
	}
	first, all := read(), y.Dst.Count("HEAD", testbed.Blob)
	if len(first) == 0 || len(first) == all || !slices.Equal(first, read()) {
		t.Errorf("%d of %d were read", len(first), all)
	}
}

func TestAReferrerThatTheTargetLacksIsFoundAndHealed(t *testing.T) {
	withReferrers := testbed.Options{Referrers: testbed.WithReferrers}
	y := yard.Of(t, testbed.Sloppy(t, withReferrers), testbed.Sloppy(t, withReferrers))
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}))
	sig := testbed.Artifact(t, y.Src, "app", "", img.Root)
	of := dray.TransferRequest{Sources: []string{"src/app:v1"}, Target: "dst/app"}
	rec := y.Verifies("app:v1 incomplete referrer=missing config=missing layer=missing", dray.VerifyRequest{Of: of, Depth: dray.Deep})
	if len(rec.Troubles) != 1 || string(rec.Troubles[0].Lacks[0].Digest) != sig.Digest() {
		t.Errorf("%+v", rec.Troubles)
	}
	y.Verifies("app:v1 same healed", dray.VerifyRequest{Of: of, Depth: dray.Deep, Heal: true})
}

// GitLab has no referrers API, and takes the tag sha256-HEX for the digest sha256:HEX.
func TestAnImageUnderItsReferrersTagIsWholeAndNeedsNoHealing(t *testing.T) {
	gitlab := testbed.Options{Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "/manifests/sha256-", "/manifests/sha256:", 1)
			next.ServeHTTP(w, r)
		})
	}}
	y := yard.Of(t, testbed.Distribution(t, gitlab), testbed.Distribution(t, testbed.Options{}))
	testbed.Index(t, y.Src, "app", "v1", 2)
	testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{})
	y.Transfers(yard.Whole())
	y.Forget()
	y.Dst.Reset()
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep, Heal: true})
	if y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("something was healed\n%s", y.Dst.Story())
	}
}

func TestAListingThatFailsIsNeverTakenForAnEmptyOne(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	denied := hostile.Error(401, "UNAUTHORIZED", "authentication required")
	for name, f := range map[string]*hostile.Fault{"tags": denied.On(http.MethodGet, testbed.Tags)} {
		dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), f)
		y := yard.Of(t, src, dst)
		y.Tagged("app", "v1", "v2")
		got, rec, err := y.Verified(dray.VerifyRequest{Of: yard.Whole()})
		if !fault.Is(err, fault.Denied) || got != "app: unknown" || rec.Right() || rec.Matches[dray.Unproven] != 1 {
			t.Errorf("%s: %s %v %+v", name, got, err, rec)
		}
	}
	catalog := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Error(401, "UNAUTHORIZED", "authentication required"))
	y := yard.Of(t, catalog, src)
	if _, rec, err := y.Verified(dray.VerifyRequest{Of: yard.Whole()}); !fault.Is(err, fault.Denied) || rec.Names != 0 {
		t.Errorf("%v %+v", err, rec)
	}
}

func TestBlobsThatCanNotBeAskedForAreNotProven(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 2})
	f := hostile.Error(403, "DENIED", "no").On("", testbed.Blob).At(string(img.Layers[0].Digest))
	y := yard.Of(t, src, hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), f))
	testbed.Random(t, y.Src, "web", "v1", testbed.RandomOptions{Seed: 5})
	y.Transfers(yard.Whole())
	got, rec, err := y.Verified(dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep})
	if !fault.Is(err, fault.Denied) || got != "app:v1 unknown" || rec.Matches[dray.Unproven] != 1 || rec.Matches[dray.Same] != 1 {
		t.Errorf("%s %v %+v", got, err, rec)
	}
}

func TestNothingIsWrittenAndNoRightToWriteIsAskedFor(t *testing.T) {
	auth := testbed.Auth{Mode: testbed.Bearer}
	dst := testbed.Distribution(t, testbed.Options{Auth: auth})
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), dst)
	y.Tagged("app", "v1")
	if _, _, err := y.Verified(dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep}); !fault.Is(err, fault.Denied) {
		t.Errorf("%v", err)
	}
	if dst.Count("", testbed.Token) == 0 {
		t.Error("no token was requested")
	}
	for _, q := range dst.Log() {
		if strings.Contains(q.RawQuery, "push") {
			t.Errorf("a token for push was requested: %s", q.RawQuery)
		}
	}
}

func TestTheReceiptIsForTheRecord(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	y.Transfers(yard.Whole())
	testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 99})
	req := dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep, By: "ops", Tool: "dray 1.2.3", When: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	first := y.Verifies("app:v2 differs", req)
	second := y.Verifies("app:v2 differs", req)
	if first.Digest != second.Digest || first.Digest == "" {
		t.Error("the receipts of equal registries have different digests")
	}
	first.Took, first.Traffic, first.Digest = 0, nil, "sha256:…"
	raw, err := json.MarshalIndent(first, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	e := first.Troubles[0]
	got := strings.NewReplacer(y.Src.Host, "{src}", y.Dst.Host, "{dst}", string(e.Source), "{new}", string(e.Target), "{old}").Replace(string(raw))
	const want = `{
  "format": 1,
  "tool": "dray 1.2.3",
  "by": "ops",
  "when": "2026-03-01T12:00:00Z",
  "sources": [
    "src"
  ],
  "target": "dst",
  "depth": "deep",
  "repositories": 1,
  "names": 2,
  "matches": {
    "differs": 1,
    "same": 1
  },
  "extra": 0,
  "looked": {
    "documents": 1,
    "blobs": 2,
    "read": 0,
    "bytes": 0
  },
  "digest": "sha256:…",
  "troubles": [
    {
      "from": "{src}/app:v2",
      "to": "{dst}/app:v2",
      "match": "differs",
      "source": "{new}",
      "target": "{old}"
    }
  ],
  "traffic": null,
  "tookNanoseconds": 0
}`
	if got != want {
		t.Errorf("%s", got)
	}
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 55})
	if third := y.Verifies("app:v1 differs, app:v2 differs", req); third.Digest == second.Digest {
		t.Error("receipts with different findings have the same digest")
	}
}
