package apply_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// signedYard is a yard of two registries with the referrers API.
func signedYard(t *testing.T) *yard.Yard {
	t.Helper()
	with := testbed.Options{Referrers: testbed.WithReferrers}
	return yard.Of(t, testbed.Sloppy(t, with), testbed.Sloppy(t, with))
}

// digestTagged puts an artifact under a digest tag of a document.
func digestTagged(t *testing.T, r *testbed.Registry, repo string, of oci.Digest, ending string) string {
	t.Helper()
	tag := oci.FallbackTag(of) + ending
	testbed.Artifact(t, r, repo, tag, oci.Descriptor{})
	return tag
}

// referrersAt lists the digests that a registry lists as referrers.
func referrersAt(t *testing.T, r *testbed.Registry, repo string, of oci.Digest) []string {
	t.Helper()
	a, err := http.Get("http://" + r.Host + "/v2/" + repo + "/referrers/" + string(of))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var list struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.NewDecoder(a.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range list.Manifests {
		all = append(all, m.Digest)
	}
	slices.Sort(all)
	return all
}

func TestWhatRefersToAnImageArrivesBeforeItsTag(t *testing.T) {
	y := signedYard(t)
	img := testbed.Index(t, y.Src, "app", "v1", 2)
	child := oci.Descriptor{MediaType: img.Children[0].MediaType, Digest: img.Children[0].Digest, Size: img.Children[0].Size}
	sbom := testbed.Artifact(t, y.Src, "app", "", img.Root)
	signature := testbed.Artifact(t, y.Src, "app", "", sbom.Root)
	ofChild := testbed.Artifact(t, y.Src, "app", "", child)
	tag := digestTagged(t, y.Src, "app", child.Digest, ".sig")
	nested := digestTagged(t, y.Src, "app", signature.Root.Digest, ".att")
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/team/app:v1"}}))
	if got := rep.Steps[0].Referrers; got.Copied != 5 || got.Present != 0 || got.Refused != 0 {
		t.Errorf("the report says %+v", got)
	}
	for of, want := range map[oci.Digest]string{
		img.Root.Digest: sbom.Digest(), sbom.Root.Digest: signature.Digest(), child.Digest: ofChild.Digest(),
	} {
		if got := referrersAt(t, y.Dst, "team/app", of); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is referred to by %v, want %s", of, got, want)
		}
	}
	for _, name := range []string{tag, nested, sbom.Digest(), signature.Digest(), ofChild.Digest()} {
		testbed.Same(t, y.Src, y.Dst, "app", name, "team/app", name)
	}
	var puts []string
	for _, q := range y.Dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest {
			puts = append(puts, q.Ref)
		}
	}
	at := func(name string) int { return slices.Index(puts, name) }
	if at("v1") != len(puts)-1 || at(nested) > at(signature.Digest()) || at(signature.Digest()) > at(sbom.Digest()) || at(nested) < 0 {
		t.Errorf("the order of the documents is %v", puts)
	}
}

func TestASignedImageCostsOneQuestionForEachDocumentAndNoneIsAskedTwice(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", img.Root)
	y.Forget()
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1", "dst/app:v2"}}))
	y.WantSpent("GET blob ×4, GET manifest ×2, GET referrers ×2, HEAD manifest ×7",
		"GET referrers ×1, HEAD blob ×3, HEAD manifest ×2, POST upload ×4, PUT manifest ×3, PUT upload ×4")
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/x/app:v1", "dst/y/app:v1"}}))
	y.Src.Reset()
	for _, repo := range []string{"x/app", "y/app"} {
		if got := referrersAt(t, y.Dst, repo, img.Root.Digest); len(got) != 1 {
			t.Errorf("%s: %v, %+v", repo, got, rep.Steps)
		}
	}
}

func TestDigestTagsOfManyDocumentsAreReadFromOneListing(t *testing.T) {
	y := signedYard(t)
	img := testbed.Index(t, y.Src, "app", "v1", 6)
	tag := digestTagged(t, y.Src, "app", img.Root.Digest, ".sbom")
	y.Forget()
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}))
	if lists, heads := y.Src.Count(http.MethodGet, testbed.Tags), y.Src.Count(http.MethodHead, testbed.Manifest); lists != 1 || heads > 6 {
		t.Errorf("%d listings, %d HEADs\n%s", lists, heads, y.Src.Story())
	}
	testbed.Same(t, y.Src, y.Dst, "app", tag, "app", tag)
}

func TestNothingTravelsWithAnImageIfReferrersAreLeftOut(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", img.Root)
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"},
		Referrers: plan.Referrers{Mode: plan.ReferrersNone}}))
	if y.Src.Count("", testbed.Referrer) != 0 || rep.Steps[0].Referrers.Copied != 0 || len(referrersAt(t, y.Dst, "app", img.Root.Digest)) != 0 {
		t.Errorf("%+v\n%s", rep.Steps[0].Referrers, y.Src.Story())
	}
}

func TestOnlyChosenTypesAndAnnotationsTravel(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", img.Root)
	for i, tt := range []struct {
		choice plan.Referrers
		want   int
	}{
		{plan.Referrers{Types: []string{testbed.ArtifactType}}, 1},
		{plan.Referrers{Types: []string{testbed.ReportLayer}}, 1},
		{plan.Referrers{Types: []string{"application/spdx+json"}}, 0},
		{plan.Referrers{Annotations: map[string]string{"org.opencontainers.image.created": "2026-11-20T00:00:00Z"}}, 1},
		{plan.Referrers{Annotations: map[string]string{"org.opencontainers.image.created": "2025-11-20T00:00:00Z"}}, 0},
	} {
		repo := fmt.Sprintf("app%d", i)
		rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/" + repo + ":v1"}, Referrers: tt.choice}))
		if got := len(referrersAt(t, y.Dst, repo, img.Root.Digest)); got != tt.want || rep.Steps[0].Referrers.Copied != tt.want {
			t.Errorf("%+v: %d arrived, %+v", tt.choice, got, rep.Steps[0].Referrers)
		}
	}
}

func TestAnImageArrivesIfItsTargetRefusesWhatRefersToIt(t *testing.T) {
	with := testbed.Options{Referrers: testbed.WithReferrers}
	src := testbed.Sloppy(t, with)
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	sig := testbed.Artifact(t, src, "app", "", img.Root)
	refuse := hostile.Error(400, "MANIFEST_INVALID", "artifacts are not supported").On(http.MethodPut, testbed.Manifest).At(sig.Digest())
	y := yard.Of(t, src, hostile.New(t, testbed.NewSloppy(with), refuse))
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}))
	got := rep.Steps[0].Referrers
	if got.Refused != 1 || len(got.Lost) != 1 || string(got.Lost[0].Digest) != sig.Digest() ||
		!strings.Contains(got.Lost[0].Why, "artifacts are not supported") || rep.Steps[0].State != report.Done {
		t.Errorf("%+v", rep.Steps[0])
	}
	if n := y.Dst.Count(http.MethodPut, testbed.Manifest); n != 4 {
		t.Errorf("%d documents were put, want the referrer before and after its image\n%s", n, y.Dst.Story())
	}
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v2"},
		Referrers: plan.Referrers{Mode: plan.ReferrersRequire}})
	if !fault.Is(err, fault.Refused) || rep.Steps[0].State != report.Failed || rep.Steps[0].Referrers.Refused != 1 {
		t.Errorf("required: %v %+v", err, rep.Steps)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v2")
}

func TestAReferrerThatIsTakenOnlyAfterItsImageIsSentAgain(t *testing.T) {
	with := testbed.Options{Referrers: testbed.WithReferrers}
	src := testbed.Sloppy(t, with)
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	sig := testbed.Artifact(t, src, "app", "", img.Root)
	refuse := hostile.Error(404, "MANIFEST_UNKNOWN", "the subject is unknown").On(http.MethodPut, testbed.Manifest).At(sig.Digest()).Times(2)
	y := yard.Of(t, src, hostile.New(t, testbed.NewSloppy(with), refuse))
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}))
	if got := rep.Steps[0].Referrers; got.Copied != 1 || got.Refused != 0 {
		t.Errorf("%+v", got)
	}
	var puts []string
	for _, q := range y.Dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest {
			puts = append(puts, q.Ref)
		}
	}
	if at := slices.Index(puts, "v1"); at != len(puts)-1 {
		t.Errorf("the tag was set before its signature: %v", puts)
	}
}

func TestAnImageWithMoreReferrersThanAnyoneSignsGetsNoTag(t *testing.T) {
	with := testbed.Options{Referrers: testbed.WithReferrers}
	many := with
	many.Front = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", oci.TypeIndex)
			var list []oci.Descriptor
			for i := range 10_001 {
				list = append(list, oci.Descriptor{MediaType: oci.TypeManifest, Digest: oci.Sum([]byte(strconv.Itoa(i))), Size: 9})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": oci.TypeIndex, "manifests": list})
		})
	}
	y := yard.Of(t, testbed.Sloppy(t, many), testbed.Sloppy(t, with))
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	_, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}})
	if !fault.Is(err, fault.TooLarge) || fault.SideOf(err) != fault.Source || !strings.Contains(fault.HintOf(err), "--referrers=false") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	if a := y.Dst.Direct(t, http.MethodHead, "/v2/app/manifests/v1", nil, nil, nil); a.StatusCode != 404 {
		t.Errorf("the tag is there: %d", a.StatusCode)
	}
}

// Neither the API nor a tag says what refers to the image. A target that answers so gets what the source has.
func TestARegistryThatDoesNotAllowReferrersToBeListedIsNotedOnce(t *testing.T) {
	for _, code := range []int{401, 403} {
		t.Run(strconv.Itoa(code), func(t *testing.T) { unlistable(t, code) })
	}
}

func unlistable(t *testing.T, code int) {
	t.Helper()
	denied := hostile.Error(code, "DENIED", "no right to list").On(http.MethodGet, testbed.Referrer)
	closed := func(next http.Handler) http.Handler { return hostile.Wrap(next, denied) }
	with := testbed.Options{Referrers: testbed.WithReferrers}
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{Front: closed}), testbed.Sloppy(t, with))
	for i, tag := range []string{"v1", "v2"} {
		testbed.Random(t, y.Src, "app", tag, testbed.RandomOptions{Seed: uint64(i + 1)})
	}
	var notes []string
	req := dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: plan.AllTags}
	p, err := y.PlanCopy(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := y.Apply(t.Context(), p, func(e event.Event) {
		if e.Kind == event.Noted {
			notes = append(notes, e.Text)
		}
	})
	if got := rep.Referrers(); got.Unread != 2 {
		t.Errorf("the report says %+v", got)
	}
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "no right to list") {
		t.Errorf("%v %q", err, notes)
	}
	req.Referrers.Mode = plan.ReferrersSync
	if got := y.Must(y.Copy(req)).Referrers(); got.Unread != 2 {
		t.Errorf("images that are up to date: %+v", got)
	}
	req.Referrers.Mode, req.Targets = plan.ReferrersRequire, []string{"dst/again"}
	if _, err := y.Copy(req); !fault.Is(err, fault.Denied) || fault.SideOf(err) != fault.Source {
		t.Errorf("required: %v", err)
	}
	y = yard.Of(t, testbed.Sloppy(t, with), testbed.Distribution(t, testbed.Options{Front: closed}))
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}))
	testbed.Artifact(t, y.Src, "app", "", img.Root)
	rep = y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"},
		Referrers: plan.Referrers{Mode: plan.ReferrersSync}}))
	if got := rep.Steps[0].Referrers; got.Copied != 1 {
		t.Errorf("%+v", got)
	}
}

func TestADigestTagOfThePlanIsCopiedOnceAndBeforeItsImage(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	tag := digestTagged(t, y.Src, "app", img.Root.Digest, ".sig")
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags}))
	var puts []string
	for _, q := range y.Dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest {
			puts = append(puts, q.Ref)
		}
	}
	if !slices.Equal(puts, []string{tag, "v1"}) || rep.Count(report.Done) != 2 {
		t.Errorf("%v %+v", puts, rep.Steps)
	}
	if y.Src.Count(http.MethodHead, testbed.Manifest) > 2 {
		t.Errorf("digest tags were asked for although the tags were listed\n%s", y.Src.Story())
	}
}

func TestWhatIsSignedLaterArrivesIfReferrersAreInSync(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	first := testbed.Artifact(t, y.Src, "app", "", img.Root)
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}
	y.Must(y.Copy(req))
	later := testbed.Artifact(t, y.Src, "app", "", first.Root)
	tag := digestTagged(t, y.Src, "app", img.Root.Digest, ".sig")
	y.Forget()
	rep := y.Must(y.Copy(req))
	if y.Src.Count("", testbed.Referrer) != 0 || rep.Steps[0].Referrers.Copied != 0 {
		t.Errorf("an image that is up to date costs more by default\n%s", y.Src.Story())
	}
	req.Referrers.Mode = plan.ReferrersSync
	rep = y.Must(y.Copy(req))
	if got := rep.Steps[0].Referrers; got.Copied != 2 || got.Present != 1 || rep.Steps[0].State != report.Unchanged {
		t.Errorf("%+v", rep.Steps[0])
	}
	if got := referrersAt(t, y.Dst, "app", first.Root.Digest); !slices.Equal(got, []string{later.Digest()}) {
		t.Errorf("%v", got)
	}
	testbed.Same(t, y.Src, y.Dst, "app", tag, "app", tag)
	y.Forget()
	rep = y.Must(y.Copy(req))
	if got := rep.Steps[0].Referrers; got.Copied != 0 || got.Present != 3 || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("the third run sends again: %+v\n%s", got, y.Dst.Story())
	}
}

func TestAnUnsignedImageInSyncCostsItsTargetNothing(t *testing.T) {
	y := signedYard(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Referrers: plan.Referrers{Mode: plan.ReferrersSync}}
	y.Must(y.Copy(req))
	y.Forget()
	y.Must(y.Copy(req))
	y.WantSpent("GET referrers ×1, HEAD manifest ×4", "HEAD manifest ×1")
}

func TestEachUnsignedImageInSyncCostsOneQuestionIfTagsAreListed(t *testing.T) {
	y := signedYard(t)
	for i, tag := range []string{"v1", "v2", "v3"} {
		testbed.Random(t, y.Src, "app", tag, testbed.RandomOptions{Seed: uint64(i)})
	}
	testbed.Random(t, y.Src, "app", "stable", testbed.RandomOptions{Seed: 2}) // the image of v3, which is asked about once
	req := dray.CopyRequest{
		Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags,
		Referrers: plan.Referrers{Mode: plan.ReferrersSync},
	}
	y.Must(y.Copy(req))
	y.Forget()
	y.Must(y.Copy(req))
	y.WantSpent("GET referrers ×3, GET tags ×1, HEAD manifest ×4", "GET tags ×1, HEAD manifest ×4")
}
