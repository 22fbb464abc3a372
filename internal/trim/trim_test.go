package trim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// only returns Platforms for what words name.
func only(t *testing.T, words string) plan.Platforms {
	t.Helper()
	all, err := oci.ParsePlatforms(words)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Platforms{Only: all}
}

func sparse(t *testing.T, words string) plan.Platforms {
	t.Helper()
	p := only(t, words)
	p.Form = plan.Sparse
	return p
}

func optional(t *testing.T, words string) plan.Platforms {
	t.Helper()
	p := only(t, words)
	p.Lacks = plan.Optional
	return p
}

// children lists the digests that an index at the target lists.
func children(t *testing.T, y *yard.Yard, name, mediaType string) []oci.Digest {
	t.Helper()
	var index v1.Index
	if err := json.Unmarshal(y.Raw(y.Dst, "app", name, mediaType), &index); err != nil {
		t.Fatal(err)
	}
	var all []oci.Digest
	for _, m := range index.Manifests {
		all = append(all, m.Digest)
	}
	return all
}

func copied(t *testing.T, y *yard.Yard, p plan.Platforms) (dray.Report, error) {
	t.Helper()
	return y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Platforms: p})
}

func TestACopyOfSomePlatformsBringsThemAndTheirAttestations(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 4)
	rep := y.Must(copied(t, y, only(t, "linux/arm64,linux/s390x")))
	want := []oci.Digest{m.Children[1].Digest, m.Children[3].Digest, m.Children[5].Digest, m.Children[7].Digest}
	if got := children(t, y, "v1", oci.TypeIndex); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	step := rep.Steps[0]
	if step.Trim.Digest == "" || step.Digest() == m.Root.Digest || step.Origin() != m.Root.Digest || step.Trim.Platforms != "linux/arm64,linux/s390x" {
		t.Errorf("%+v", step.Step)
	}
	// 2 configs, 2 layers and 1 that they share; a config and a layer of each attestation
	if step.Blobs.Sent != 5+4 {
		t.Errorf("%+v", step.Blobs)
	}
	y.Complete() // nothing of what the target lists is missing
	testbed.CraneDigest(t, y.Dst, "app", "v1")
}

// The second copy learns from the annotation of the target that it is up to date. It does not read the source.
func TestASecondCopyOfSomePlatformsReadsOnlyTheTarget(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 4)
	y.Must(copied(t, y, only(t, "linux/arm64")))
	for state, spent := range map[string][2]string{
		t.TempDir(): {"HEAD manifest ×1", "GET manifest ×1, HEAD manifest ×1"},
		"":          {"GET manifest ×1, HEAD manifest ×1", "HEAD manifest ×1"}, // without one, the source proves it
	} {
		y.Run(state)
		y.Forget()
		if got := yard.States(y.Must(copied(t, y, only(t, "linux/arm64/v8")))); got != "app:v1 unchanged" {
			t.Error(got)
		}
		y.WantSpent(spent[0], spent[1])
	}

	y.Forget()
	y.Must(copied(t, y, only(t, "linux/amd64"))) // other platforms are another index
	if got := children(t, y, "v1", oci.TypeIndex); len(got) != 2 {
		t.Error(got)
	}
	yard.Attested(t, y.Src, "app", "v1", 3) // the source has another image now
	if got := yard.States(y.Must(copied(t, y, only(t, "linux/amd64")))); got != "app:v1 done" {
		t.Error(got)
	}
}

// With a state directory, the digests alone are compared: nothing is read, whatever kind of image it is.
func TestWhatWasTrimmedIsRememberedBetweenRuns(t *testing.T) {
	y, state := yard.New(t), t.TempDir()
	yard.Attested(t, y.Src, "app", "v1", 4)
	testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 3})
	req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app", Platforms: only(t, "linux/amd64")}
	y.Run(state)
	y.Transfers(req)
	y.Run(state)
	if got, _, err := y.Transferred(req); got != "" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	y.WantSpent("GET tags ×1, HEAD manifest ×2", "GET tags ×1, HEAD manifest ×2")
}

func TestAnImageThatLacksAPlatformIsRefusedWithThoseItHas(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 3)
	_, err := copied(t, y, only(t, "linux/amd64,linux/s390x"))
	if !fault.Is(err, fault.NotFound) || fault.SideOf(err) != fault.Source ||
		!strings.Contains(err.Error(), "it has no linux/s390x; it has linux/amd64,linux/arm64/v8,linux/arm/v7") {
		t.Error(err)
	}
	if got := y.Raw(y.Dst, "app", "v1", oci.TypeIndex); bytes.Contains(got, []byte("manifests")) {
		t.Errorf("something was copied: %s", got)
	}
	rep := y.Must(copied(t, y, optional(t, "linux/amd64,linux/s390x")))
	if s := rep.Steps[0]; s.Trim.Lacks != "linux/s390x" || s.Trim.Platforms != "linux/amd64" || s.State != dray.Done {
		t.Errorf("%+v", s)
	}
	rep = y.Must(copied(t, y, optional(t, "linux/s390x")))
	if len(rep.Steps) != 0 || !slices.ContainsFunc(rep.Notes, func(n string) bool {
		return strings.Contains(n, "they are not for linux/s390x") && strings.Contains(n, "/app:v1")
	}) {
		t.Errorf("%+v %q", rep.Steps, rep.Notes)
	}
}

// The config of a single manifest says what it is for. What is no image is for no platform, and is copied.
func TestASingleManifestIsForThePlatformOfItsConfig(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	if _, err := copied(t, y, only(t, "linux/arm64")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "it has linux/amd64") {
		t.Error(err)
	}
	for range 2 {
		rep := y.Must(copied(t, y, only(t, "linux/amd64")))
		if s := rep.Steps[0]; s.Trim != (plan.Trim{}) {
			t.Errorf("%+v", s.Trim)
		}
	}
	y.Forget()
	y.Must(copied(t, y, only(t, "linux/amd64"))) // the target has the image, and is read in place of the source
	y.WantSpent("HEAD manifest ×1", "GET blob ×1, GET manifest ×1, HEAD manifest ×1")

	chart := testbed.HelmChart(t, y.Src, "app", "v1")
	if rep := y.Must(copied(t, y, only(t, "linux/arm64"))); rep.Steps[0].Digest() != chart.Root.Digest {
		t.Errorf("%+v", rep.Steps[0])
	}
}

// A list of Docker cannot be annotated, so the source is read to know that the target is up to date.
func TestADockerListIsTrimmedAndComparedByReadingTheSource(t *testing.T) {
	y := yard.New(t)
	m := testbed.Index(t, y.Src, "app", "", 3)
	raw := y.Raw(y.Src, "app", m.Digest(), oci.TypeIndex)
	y.Src.Manifest(t, "app", "v1", oci.TypeDockerList, bytes.Replace(raw, []byte(oci.TypeIndex), []byte(oci.TypeDockerList), 1))
	y.Must(copied(t, y, only(t, "linux/arm64")))
	if got := children(t, y, "v1", oci.TypeDockerList); len(got) != 1 || got[0] != m.Children[1].Digest {
		t.Error(got)
	}
	y.Forget()
	if got := yard.States(y.Must(copied(t, y, only(t, "linux/arm64")))); got != "app:v1 unchanged" {
		t.Error(got)
	}
	y.WantSpent("GET manifest ×1, HEAD manifest ×1", "HEAD manifest ×1")
}

func TestASparseIndexKeepsItsDigestAndSendsOnlyWhatIsAsked(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 4)
	rep := y.Must(copied(t, y, sparse(t, "linux/arm64")))
	if s := rep.Steps[0]; s.Digest() != m.Root.Digest || s.Trim.Form != plan.Sparse || s.Blobs.Sent != 3+2 {
		t.Errorf("%+v", s)
	}
	has := func(d oci.Digest) bool {
		got := y.Dst.Direct(t, http.MethodHead, "/v2/app/manifests/"+string(d), http.Header{"Accept": {oci.TypeManifest}}, nil, nil)
		return got.StatusCode == http.StatusOK
	}
	if has(m.Children[0].Digest) || !has(m.Children[1].Digest) || !has(m.Children[5].Digest) {
		t.Error("other images arrived")
	}
	y.Forget()
	if got := yard.States(y.Must(copied(t, y, sparse(t, "linux/arm64")))); got != "app:v1 unchanged" {
		t.Error(got)
	}
	y.WantSpent("HEAD manifest ×1", "GET manifest ×1, HEAD manifest ×3")

	// The digest is that of the target, but an image that is asked for now is not there.
	if got := yard.States(y.Must(copied(t, y, sparse(t, "linux/amd64,linux/arm64")))); got != "app:v1 done" || !has(m.Children[0].Digest) {
		t.Error(got, has(m.Children[0].Digest))
	}
}

func TestARegistryThatRefusesASparseIndexIsToldApart(t *testing.T) {
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{Content: testbed.Open}), testbed.Distribution(t, testbed.Options{}))
	yard.Attested(t, y.Src, "app", "v1", 2)
	_, err := copied(t, y, sparse(t, "linux/arm64"))
	if !fault.Is(err, fault.Refused) || fault.SideOf(err) != fault.Target || !strings.Contains(fault.HintOf(err), "leave out sparse") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	y.Must(copied(t, y, only(t, "linux/arm64")))
}

// An image can be trimmed within its repository, and to a digest without a tag.
func TestATrimmedIndexCanStayInItsRepositoryAndGoWithoutATag(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 3)
	within := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"src/app:arm"}, Platforms: only(t, "linux/arm64")}
	if rep := y.Must(y.Copy(within)); rep.Steps[0].Action != plan.Retag || rep.Steps[0].Blobs.Sent != 0 {
		t.Errorf("%+v", rep.Steps[0])
	}
	bare := dray.CopyRequest{Source: "src/app@" + m.Digest(), Targets: []string{"dst/app"}, Platforms: only(t, "linux/arm64")}
	for _, want := range []string{"app: done", "app: unchanged"} {
		rep := y.Must(y.Copy(bare))
		if got := yard.States(rep); got != want || len(children(t, y, string(rep.Steps[0].Digest()), oci.TypeIndex)) != 2 {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What refers to an image that is copied goes with it. What refers to another one, or to the whole index, which the
// target does not get, stays behind.
func TestOnlyWhatRefersToACopiedImageGoesWithIt(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 3)
	other := testbed.Artifact(t, y.Src, "app", "", m.Children[0])
	mine := testbed.Artifact(t, y.Src, "app", "", m.Children[1])
	whole := testbed.Artifact(t, y.Src, "app", "", m.Root)
	has := func(d string) bool {
		got := y.Dst.Direct(t, http.MethodHead, "/v2/app/manifests/"+d, http.Header{"Accept": {oci.TypeManifest}}, nil, nil)
		return got.StatusCode == http.StatusOK
	}
	y.Must(copied(t, y, only(t, "linux/arm64")))
	if !has(mine.Digest()) || has(other.Digest()) || has(whole.Digest()) {
		t.Error(has(mine.Digest()), has(other.Digest()), has(whole.Digest()))
	}
	y.Must(copied(t, y, sparse(t, "linux/arm64")))
	if has(other.Digest()) || !has(whole.Digest()) {
		t.Error(has(other.Digest()), has(whole.Digest()))
	}
}

// A verification reads the source: it does not believe what an index says of itself.
func TestAVerificationOfSomePlatformsFindsAnotherIndex(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 3)
	yard.Attested(t, y.Src, "app", "v2", 2)
	req := yard.Whole()
	req.Platforms = only(t, "linux/arm64")
	y.Transfers(req)
	for _, of := range []dray.TransferRequest{req,
		{Sources: []string{"src/app:v1"}, Target: "dst/app:v1", Platforms: req.Platforms}} {
		rec := y.Verifies("", dray.VerifyRequest{Of: of})
		if rec.Matches[dray.Same] != rec.Names || rec.Names == 0 || rec.Platforms != "linux/arm64" {
			t.Errorf("%+v", rec)
		}
	}
	of := req
	of.Platforms = only(t, "linux/amd64")
	y.Verifies("app:v1 differs, app:v2 differs", dray.VerifyRequest{Of: of})
	y.Verifies("app:v1 differs, app:v2 differs", dray.VerifyRequest{Of: yard.Whole()})
	of.Platforms = only(t, "linux/arm/v7")
	if got, _, err := y.Verified(dray.VerifyRequest{Of: of}); got != "app:v1 differs, app:v2 unknown" || !fault.Is(err, fault.NotFound) {
		t.Errorf("%s %v", got, err)
	}

	// An index of another image that pretends to be the trimmed one. A copy with a state directory believes it. A
	// verification, a repair and a copy without a state directory do not.
	raw := y.Raw(y.Dst, "app", "v1", oci.TypeIndex)
	other := y.Raw(y.Dst, "app", "v2", oci.TypeIndex)
	from := regexp.MustCompile(oci.AnnotationTrimmedFrom + `":"[^"]*"`)
	forged := from.ReplaceAll(append(other, ' '), from.Find(raw))
	y.Dst.Manifest(t, "app", "v1", oci.TypeIndex, forged)
	y.Run(t.TempDir())
	if got, _, err := y.Transferred(req); got != "" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	y.Verifies("app:v1 differs", dray.VerifyRequest{Of: req})
	heal := req
	heal.Heal = true
	for state, req := range map[string]dray.TransferRequest{t.TempDir(): heal, "": req} {
		y.Dst.Manifest(t, "app", "v1", oci.TypeIndex, forged)
		y.Run(state)
		if got, _, err := y.Transferred(req); got != "app:v1 done" || err != nil {
			t.Errorf("%q: %s %v", state, got, err)
		}
	}
}

// "transfer, then verify --deep" holds for a part of an index, and looks only below what was copied.
func TestADeepVerificationOfSomePlatformsLooksBelowWhatIsKept(t *testing.T) {
	for name, choose := range map[string]func(*testing.T, string) plan.Platforms{"trimmed": only, "sparse": sparse} {
		t.Run(name, func(t *testing.T) {
			y := yard.New(t)
			m := yard.Attested(t, y.Src, "app", "v1", 3)
			testbed.Artifact(t, y.Src, "app", "", m.Children[1])
			testbed.Artifact(t, y.Src, "app", "", m.Children[0])
			req := yard.Whole()
			req.Platforms = choose(t, "linux/arm64")
			y.Transfers(req)
			y.Verifies("", dray.VerifyRequest{Of: req, Depth: dray.Deep})
			req.Sources, req.Target = []string{"src/app:v1"}, "dst/app:v1"
			rec := y.Verifies("", dray.VerifyRequest{Of: req, Depth: dray.Rehash})
			if rec.Matches[dray.Same] != 1 || rec.Looked.Documents != 4 || rec.Looked.Read != 3+2+2 {
				t.Errorf("%+v", rec)
			}
			for _, d := range []oci.Digest{m.Children[1].Digest, m.Children[4].Digest} {
				y.Dst.Direct(t, http.MethodDelete, "/v2/app/manifests/"+string(d), nil, nil, nil)
			}
			y.Verifies("app:v1 incomplete"+strings.Repeat(" child=missing", 2), dray.VerifyRequest{Of: req, Depth: dray.Deep})
			y.Verifies("app:v1 same healed", dray.VerifyRequest{Of: req, Depth: dray.Deep, Heal: true})
			y.Verifies("", dray.VerifyRequest{Of: req, Depth: dray.Deep})
			if whole := (dray.TransferRequest{Sources: req.Sources, Target: req.Target}); name == "sparse" {
				if got, _, err := y.Verified(dray.VerifyRequest{Of: whole, Depth: dray.Deep}); !strings.HasPrefix(got, "app:v1 incomplete child=missing") || err != nil {
					t.Errorf("%s %v", got, err) // the whole index is not there
				}
			}
		})
	}
}

// A digest of an index does not say that all of it was proven, if the index is sparse.
func TestASparseIndexIsNotRememberedAsProven(t *testing.T) {
	y, state := yard.New(t), t.TempDir()
	yard.Attested(t, y.Src, "app", "v1", 3)
	y.Run(state)
	req := yard.Whole()
	req.Platforms = sparse(t, "linux/arm64")
	y.Transfers(req)
	y.Verifies("", dray.VerifyRequest{Of: req, Depth: dray.Deep})
	if err := os.RemoveAll(filepath.Join(state, "sparse")); err != nil { // as on another machine
		t.Fatal(err)
	}
	y.Run(state)
	_, sum, err := y.Transferred(yard.Whole())
	if err != nil || sum.Unproven != 1 {
		t.Errorf("%+v %v", sum, err)
	}
}

func TestAWholeTransferBringsWhatASparseOneLeft(t *testing.T) {
	y, state := yard.New(t), t.TempDir()
	yard.Attested(t, y.Src, "app", "v1", 3)
	y.Run(state)
	req := yard.Whole()
	req.Platforms = sparse(t, "linux/arm64")
	y.Transfers(req)
	y.Run(state)
	if got, _, err := y.Verified(dray.VerifyRequest{Of: yard.Whole()}); !strings.HasPrefix(got, "app:v1 incomplete child=missing") || err != nil {
		t.Errorf("digests alone: %s %v", got, err)
	}
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || got != "app:v1 done" || sum.Unproven != 0 {
		t.Errorf("%s %+v %v", got, sum, err)
	}
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep})
	y.Run(state)
	if got, _, err := y.Transferred(yard.Whole()); err != nil || got != "" {
		t.Errorf("again: %s %v", got, err)
	}
}

// Each image of a batch, an import of tags and a transfer is trimmed on its own.
func TestManyImagesAreTrimmedEachOnItsOwn(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 3)
	yard.Attested(t, y.Src, "app", "v2", 1)
	testbed.HelmChart(t, y.Src, "chart", "v1")
	req := yard.Whole()
	req.Platforms = only(t, "linux/arm64")
	got, sum, err := y.Transferred(req)
	if got != "app:v1 done, app:v2 failed, chart:v1 done" || !fault.Is(err, fault.NotFound) {
		t.Errorf("%s %v", got, err)
	}
	req.Platforms.Lacks = plan.Optional
	if got, sum, err = y.Transferred(req); got != "" || err != nil || !strings.Contains(strings.Join(sum.Notes, " "), "app:v2") {
		t.Errorf("%s %v %q", got, err, sum.Notes)
	}
	batch := dray.BatchRequest{Target: "dst", Platforms: only(t, "linux/arm/v7"), Entries: []dray.BatchEntry{
		{Source: "src/app:v1", Targets: []string{"b:v1"}}, {Source: "src/app:v2", Targets: []string{"b:v2"}},
		{Source: "src/chart:v1", Targets: []string{"b:chart"}}}}
	rep, err := y.Applied(y.PlanBatch(t.Context(), batch, nil))
	if got := yard.States(rep); !strings.HasPrefix(got, "b:v1 done, b:chart done, b:v2 failed") || !fault.Is(err, fault.NotFound) {
		t.Errorf("%s %v", got, err)
	}
	all := dray.CopyRequest{Source: "src/app", Targets: []string{"dst/c"}, Tags: plan.AllTags, Platforms: only(t, "linux/arm/v7")}
	rep, err = y.Copy(all)
	if got := yard.States(rep); !strings.HasPrefix(got, "c:v1 done, c:v2 failed") || !fault.Is(err, fault.NotFound) {
		t.Errorf("%s %v", got, err)
	}
	y.Complete()
}

func TestAPlanFileBringsWhatItSays(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 3)
	req := yard.Whole()
	req.Platforms = only(t, "linux/arm64")
	file := y.Written(req)
	if !bytes.Contains(file, []byte(`"trim":{"digest":"sha256:`)) {
		t.Errorf("%s", file)
	}
	est, err := y.Estimate(t.Context(), dray.EstimateRequest{Plan: reader(t, file)}, nil)
	if err != nil || est.Sent != 5 || est.Documents != 3 {
		t.Errorf("%+v %v", est, err)
	}
	yard.Attested(t, y.Src, "app", "v1", 4)
	if got, _, err := y.FromFile(file, false); got != "app:v1 failed moved" || !fault.Is(err, fault.Moved) {
		t.Errorf("%s %v", got, err)
	}
	if got, _, err := y.FromFile(file, true); got != "app:v1 done" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	if got := children(t, y, "v1", oci.TypeIndex); len(got) != 2 {
		t.Error(got)
	}
	file = y.Written(req)
	if got, _, err := y.FromFile(file, false); got != "app:v1 unchanged" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

// Another version of dray could trim an index to other bytes. The plan was reviewed with a digest, so it does not
// bring another one.
func TestAPlanFileWhoseTrimmedDigestIsAnotherIsRefused(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 3)
	req := yard.Whole()
	req.Platforms = only(t, "linux/arm64")
	digest := regexp.MustCompile(`"trim":{"digest":"sha256:[0-9a-f]{64}"`)
	file := digest.ReplaceAll(y.Written(req), []byte(`"trim":{"digest":"`+string(oci.Sum(nil))+`"`))
	got, sum, err := y.FromFile(file, false)
	if got != "app:v1 failed moved" || fault.HintOf(err) == "" || sum.Blobs.Sent != 0 {
		t.Errorf("%s %v", got, err)
	}
}

func reader(t *testing.T, file []byte) *plan.Reader {
	t.Helper()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
