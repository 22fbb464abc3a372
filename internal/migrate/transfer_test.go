package migrate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestARegistryIsTransferredAndTheSecondRunSendsNothing(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "latest")
	y.Tagged("team/web", "1.0")
	testbed.Index(t, y.Src, "multi", "v1", 2)
	y.Forget()
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || got != "app:latest done, app:v1 done, app:v2 done, multi:v1 done, team/web:1.0 done" {
		t.Fatalf("%s %v", got, err)
	}
	for _, one := range []string{"app latest", "multi v1", "team/web 1.0"} {
		repo, tag, _ := strings.Cut(one, " ")
		testbed.Same(t, y.Src, y.Dst, repo, tag, repo, tag)
	}
	if sum.Traffic[y.Src.Host].Requests != y.Src.Requests() || sum.Traffic[y.Dst.Host].Requests != y.Dst.Requests() {
		t.Errorf("%+v, the registries counted %d and %d", sum.Traffic, y.Src.Requests(), y.Dst.Requests())
	}
	if _, in := y.Src.Sent(http.MethodGet, testbed.Blob); in != sum.Blobs.Bytes {
		t.Errorf("%+v, the source sent %d", sum.Blobs, in)
	}
	y.Forget()
	got, sum, err = y.Transferred(yard.Whole())
	if err != nil || got != "" || sum.States[dray.Unchanged] != 5 {
		t.Errorf("%s %v %+v", got, err, sum)
	}
	if yard.Spent(y.Src) != "GET catalog ×1, GET tags ×3, HEAD manifest ×5" || yard.Spent(y.Dst) != "GET tags ×3, HEAD manifest ×5" {
		t.Errorf("source %s; target %s", yard.Spent(y.Src), yard.Spent(y.Dst))
	}
}

func TestOnlyWhatIsMissingOrRetaggedMoves(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	if _, _, err := y.Transferred(yard.Whole()); err != nil {
		t.Fatal(err)
	}
	old := testbed.CraneDigest(t, y.Dst, "app", "v2")
	img := testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 50})
	testbed.Random(t, y.Src, "app", "v4", testbed.RandomOptions{Seed: 51})
	plan1, err := y.Planned(yard.Whole())
	if err != nil || plan1 != "skip app:v1, replace app:v2, skip app:v3, copy app:v4" {
		t.Errorf("%s %v", plan1, err)
	}
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || got != "app:v2 done, app:v4 done" || sum.Retagged != 1 || len(sum.Retags) != 1 {
		t.Fatalf("%s %v %+v", got, err, sum)
	}
	if m := sum.Retags[0]; m.Was != old || m.Is != img.Digest() || m.State != dray.Done || m.To.Tag != "v2" {
		t.Errorf("%+v", m)
	}
	y.Forget()
	req := yard.Whole()
	req.Overwrite = plan.Always
	if got, _, err := y.Transferred(req); err != nil || strings.Count(got, "done") != 4 || y.Dst.Count(http.MethodPut, testbed.Upload) != 0 {
		t.Errorf("always: %s %v\n%s", got, err, yard.Spent(y.Dst))
	}
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 52})
	req.Overwrite = plan.Refuse
	if got, _, err := y.Transferred(req); got != "app:v1 failed" || !fault.Is(err, fault.Conflict) {
		t.Errorf("refuse: %s %v", got, err)
	}
}

func TestTwoHundredRepositoriesInSyncCostAListAndAHeadATag(t *testing.T) {
	repos, tags := 200, 50
	switch {
	case testing.Short():
		repos, tags = 20, 10
	case yard.Small():
		repos, tags = 40, 10 // make check runs the full size without the race detector
	}
	y := yard.New(t)
	for i := range repos {
		repo := fmt.Sprintf("team/r%03d", i)
		img := testbed.Random(t, y.Src, repo, "t00", testbed.RandomOptions{Size: 100, Seed: uint64(i + 1)})
		raw := y.Raw(y.Src, repo, "t00", img.Root.MediaType)
		for _, r := range []*testbed.Registry{y.Src, y.Dst} {
			if r == y.Dst {
				testbed.Random(t, r, repo, "t00", testbed.RandomOptions{Size: 100, Seed: uint64(i + 1)})
			}
			for k := 1; k < tags; k++ {
				r.Manifest(t, repo, fmt.Sprintf("t%02d", k), img.Root.MediaType, raw)
			}
		}
	}
	testbed.Random(t, y.Src, "team/r007", "t07", testbed.RandomOptions{Size: 100, Seed: 4000})
	y.Forget()
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || got != "team/r007:t07 done" || sum.Retagged != 1 || sum.Repositories != repos {
		t.Fatalf("%s %v", got, err)
	}
	n := repos * tags
	if y.Src.Count(http.MethodHead, testbed.Manifest) != n || y.Dst.Count(http.MethodHead, testbed.Manifest) > n+1 {
		t.Errorf("%d HEADs at the source and %d at the target, want %d at each", y.Src.Count(http.MethodHead, testbed.Manifest), y.Dst.Count(http.MethodHead, testbed.Manifest), n)
	}
	const doubts = 2 // what it costs to find out that the registry cuts no page without a Link
	lists := y.Src.Count(http.MethodGet, testbed.Tags)
	if y.Src.Count(http.MethodGet, testbed.Manifest) != 1 || lists < repos || lists > repos+doubts || y.Dst.Count(http.MethodPut, testbed.Manifest) != 1 {
		t.Errorf("%s; %s", yard.Spent(y.Src), yard.Spent(y.Dst))
	}
}

func TestASharedBlobIsSentOnceAndMountedElsewhere(t *testing.T) {
	y := yard.New(t)
	for i := range 12 { // one image under twelve names
		testbed.Random(t, y.Src, fmt.Sprintf("r%02d", i), "v1", testbed.RandomOptions{Seed: 5, Layers: 3, Size: 5000})
	}
	testbed.Random(t, y.Dst, "r03", "old", testbed.RandomOptions{Seed: 6})
	y.Forget()
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || strings.Count(got, "done") != 12 {
		t.Fatalf("%s %v", got, err)
	}
	distinct := 4
	if sum.Blobs.Sent != distinct || sum.Blobs.Mounted != 11*distinct || y.Dst.Count(http.MethodPut, testbed.Upload) != distinct {
		t.Errorf("%+v\n%s", sum.Blobs, yard.Spent(y.Dst))
	}
	testbed.Same(t, y.Src, y.Dst, "r11", "v1", "r11", "v1")
}

func TestARegistryThatMountsNothingIsSentToWithoutWaiting(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	dst := testbed.Serve(t, withoutMounts(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	y := yard.Of(t, src, dst)
	for i := range 8 {
		testbed.Random(t, y.Src, fmt.Sprintf("r%02d", i), "v1", testbed.RandomOptions{Seed: 5, Layers: 2})
	}
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || strings.Count(got, "done") != 8 || sum.Blobs.Mounted != 0 || sum.Blobs.Sent != 24 {
		t.Errorf("%s %v %+v", got, err, sum.Blobs)
	}
}

func withoutMounts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Has("mount") {
			req.URL.RawQuery = ""
		}
		next.ServeHTTP(w, req)
	})
}

func TestAListingThatFailedIsNoEmptyRegistry(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"unavailable", 502, "", "app: failed, web:v1 done"},
		{"denied", 403, `{"errors":[{"code":"DENIED"}]}`, "app: failed, web:v1 done"},
		{"a bare 404", 404, "", "app: failed, web:v1 done"},
		{"no such repository", 404, `{"errors":[{"code":"NAME_UNKNOWN"}]}`, "app:v1 done, app:v2 done, web:v1 done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := testbed.Distribution(t, testbed.Options{})
			h := http.Header{"Content-Type": {"application/json"}}
			dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Status(c.status, h, c.body).When(func(req *http.Request) bool {
				return strings.HasSuffix(req.URL.Path, "/app/tags/list") && req.URL.Query().Get("n") == "1000"
			}))
			y := yard.Of(t, src, dst)
			y.Tagged("app", "v1", "v2")
			y.Tagged("web", "v1")
			d, err := dray.New(dray.Config{Limits: dray.Limits{Retries: 1}, Registries: map[string]dray.Registry{
				"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}}, "dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}}}})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			y.Dray = d
			got, _, err := y.Transferred(yard.Whole())
			if got != c.want || (err != nil) != strings.Contains(c.want, "failed") {
				t.Errorf("%s %v", got, err)
			}
		})
	}
}

func TestAListOfRepositoriesThatCanNotBeReadEndsTheTransfer(t *testing.T) {
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Status(401, nil, "").On(http.MethodGet, testbed.Catalog))
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1")
	got, _, err := y.Transferred(yard.Whole())
	if got != "" || !fault.Is(err, fault.Denied) || fault.HintOf(err) != "log in with: dray login "+y.Src.Host+"; or name the repositories" {
		t.Errorf("%s %v", got, err)
	}
	req := yard.Whole()
	req.Sources = []string{"src/app"}
	if got, _, err := y.Transferred(req); got != "app:v1 done" || err != nil {
		t.Errorf("by name: %s %v", got, err)
	}
	req.Sources, req.Selection.Repository = []string{"src"}, "app"
	if got, _, err := y.Transferred(req); got != "" || err != nil {
		t.Errorf("selected: %s %v", got, err)
	}
}

func TestAListThatIsCutWithoutALinkIsTransferredWhole(t *testing.T) {
	// The front cuts each list at ten names and leaves the Link out.
	cut := func(next http.Handler) http.Handler {
		return hostile.Wrap(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if q := req.URL.Query(); q.Has("n") {
				q.Set("n", "10")
				req.URL.RawQuery = q.Encode()
			}
			next.ServeHTTP(w, req)
		}), hostile.Header("Link", ""))
	}
	src := testbed.Serve(t, cut(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	for i := range 12 {
		testbed.Random(t, src, fmt.Sprintf("r%02d", i), "v1", testbed.RandomOptions{Seed: 1})
	}
	img := testbed.Random(t, src, "many", "t00", testbed.RandomOptions{Seed: 1})
	raw := y.Raw(src, "many", "t00", img.Root.MediaType)
	for i := range 25 {
		src.Manifest(t, "many", fmt.Sprintf("t%02d", i), img.Root.MediaType, raw)
	}
	got, sum, err := y.Transferred(yard.Whole())
	if err != nil || strings.Count(got, "many:") != 25 || sum.Repositories != 13 {
		t.Errorf("%s %v", got, err)
	}
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole()})
}

func TestNamesThatAreImpossibleAreInTheReport(t *testing.T) {
	page := hostile.Status(200, nil, `{"tags":["v1","no tag"]}`).On(http.MethodGet, testbed.Tags)
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), page)
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1")
	got, sum, err := y.Transferred(yard.Whole())
	if got != "app:v1 done" || err != nil || len(sum.Notes) != 1 || !strings.HasSuffix(sum.Notes[0], `: 1: "no tag"`) {
		t.Errorf("%s %v %q", got, err, sum.Notes)
	}
	rec := y.Verifies("", dray.VerifyRequest{Of: yard.Whole()})
	if len(rec.Notes) != 1 || !strings.HasSuffix(rec.Notes[0], `: 1: "no tag"`) {
		t.Errorf("%q", rec.Notes)
	}
}

func TestOneBrokenTagStopsNothingElse(t *testing.T) {
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Status(403, nil, "").When(func(req *http.Request) bool {
		return req.Method != http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/v2")
	}), hostile.Status(404, nil, "").When(func(req *http.Request) bool {
		return strings.HasSuffix(req.URL.Path, "/manifests/gone")
	}))
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1", "v2", "v3", "gone")
	got, sum, err := y.Transferred(yard.Whole())
	if got != "app:gone failed, app:v1 done, app:v2 failed, app:v3 done" || err == nil || sum.States[dray.Failed] != 2 {
		t.Errorf("%s %v", got, err)
	}
}

func TestSeveralSourcesMergeAndPreferOrdersThem(t *testing.T) {
	other := testbed.Distribution(t, testbed.Options{})
	y := yard.New(t)
	d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	y.Dray = d
	y.Tagged("app", "v1", "v2")
	testbed.Random(t, other, "app", "v1", testbed.RandomOptions{Seed: 1}) // the same image
	testbed.Random(t, other, "app", "v2", testbed.RandomOptions{Seed: 30})
	testbed.Random(t, other, "lib", "v1", testbed.RandomOptions{Seed: 31})
	req := dray.TransferRequest{Sources: []string{y.Src.Host, other.Host}, Target: y.Dst.Host}
	got, _, err := y.Transferred(req)
	if got != "app:v1 done, app:v2 failed, lib:v1 done" || !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "two sources differ") {
		t.Errorf("%s %v", got, err)
	}
	req.Prefer = []string{other.Host}
	got, _, err = y.Transferred(req)
	if got != "app:v2 done" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	testbed.Same(t, other, y.Dst, "app", "v2", "app", "v2")
	for prefer, notes := range map[string]int{other.Host + "/lib": 0, y.Src.Host + "/team/": 0, y.Dst.Host: 1, "nobody.example/": 1} {
		req.Prefer = []string{prefer}
		if _, sum, _ := y.Transferred(req); len(sum.Notes) != notes {
			t.Errorf("prefer %s: %q", prefer, sum.Notes)
		}
	}
}

func TestASourceThatIsNotThereMayBeAPrefix(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team/app", "v1")
	_, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/team"}, Target: "dst"})
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "to name all repositories below a prefix, end it with a slash: "+y.Src.Host+"/team/" {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	for source, hint := range map[string]string{
		"src/nope":     "check the spelling of the repository",
		"src/team/apq": "similar repositories in this registry: team/app",
	} {
		_, _, err = y.Transferred(dray.TransferRequest{Sources: []string{source}, Target: "dst"})
		if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != hint {
			t.Errorf("%v (%s), want the hint %s", err, fault.HintOf(err), hint)
		}
	}
}

func TestEndsAreRegistriesPrefixesAndRepositories(t *testing.T) {
	y := yard.New(t)
	for _, repo := range []string{"team/app", "team/web", "other", "teams/x"} {
		y.Tagged(repo, "v1")
	}
	for _, c := range []struct{ sources, TargetOf, want string }{
		{"src/team/", "dst", "copy team/app:v1, copy team/web:v1"},
		{"src/team/", "dst/mirror/", "copy mirror/team/app:v1, copy mirror/team/web:v1"},
		{"src/team/app", "dst", "copy team/app:v1"},
		{"src/team/app", "dst/x", "copy x:v1"},
		{"src/team/app src/other", "dst/m/", "copy m/other:v1, copy m/team/app:v1"},
		{"src/team/app src/team/ src/team/app", "dst", "copy team/app:v1, copy team/web:v1"},
		{"src", "src/copy/", "copy copy/other:v1, copy copy/team/app:v1, copy copy/team/web:v1, copy copy/teams/x:v1"},
	} {
		got, err := y.Planned(dray.TransferRequest{Sources: strings.Fields(c.sources), Target: c.TargetOf})
		if err != nil || got != c.want {
			t.Errorf("%s %s: %s %v", c.sources, c.TargetOf, got, err)
		}
	}
	y.Forget()
	for _, c := range []dray.TransferRequest{
		{Target: "dst"}, {Sources: []string{"src"}, Target: "dst/x"}, {Sources: []string{"src/app:v1"}, Target: "dst"},
		{Sources: []string{"oci:x"}, Target: "dst"}, {Sources: []string{"src"}, Target: "dst/app@sha256:" + strings.Repeat("0", 64)},
		{Sources: []string{"src"}, Target: "dst", Mapping: plan.Mapping{Template: "{x}"}}, {Sources: []string{"src"}, Target: "dst", Prefer: []string{"src/a:b"}},
	} {
		if _, err := y.Planned(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	y.WantSpent("", "")
}

func TestRepositoriesAndTagsAreSelectedMappedAndCounted(t *testing.T) {
	y := yard.New(t)
	y.Tagged("a/one", "1.0.0", "1.1.0", "2.0.0", "latest")
	y.Tagged("b/two", "1.0.0")
	y.Tagged("c/three", "1.0.0")
	req := yard.Whole()
	req.Mapping = plan.Mapping{Flatten: true, AddPrefix: "m"}
	req.Selection.MaxRepositories = 2
	req.Selection.Versions, _ = plan.ParseVersions("^1")
	req.Map = plan.TagMap{Pairs: []plan.Pair{{From: "1.1.0", To: "stable"}}}
	if got, err := y.Planned(req); err != nil || got != "copy m/a-one:1.0.0, copy m/a-one:stable, copy m/b-two:1.0.0" {
		t.Errorf("%s %v", got, err)
	}
	if got, sum, err := y.Transferred(req); err != nil || strings.Count(got, "done") != 3 || len(sum.Notes) != 1 {
		t.Errorf("%s %v %q", got, err, sum.Notes)
	}
	if got, err := y.Planned(req); err != nil || !strings.HasSuffix(got, "copy m/c-three:1.0.0") {
		t.Errorf("the limit must count only repositories that need work: %s %v", got, err)
	}
	var told []string
	req.Explain = func(e plan.Explain) { told = append(told, e.Of) }
	if _, err := y.Planned(req); err != nil || strings.Join(told, " ") != "repositories a/one b/two c/three" {
		t.Errorf("%q %v", told, err)
	}
}

func TestWhatArrivedBelowAPrefixOfTheSameRegistryIsNotTakenAgain(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	req := dray.TransferRequest{Sources: []string{"src"}, Target: "src/backup/"}
	for _, want := range []string{"backup/app:v1 done", ""} {
		if got, sum, err := y.Transferred(req); got != want || err != nil || sum.Blobs.Sent != 0 {
			t.Errorf("%s %v %+v", got, err, sum.Blobs)
		}
	}
	req.Sources, req.Target = []string{"src/backup/"}, "src/backup/again/"
	if got, err := y.Planned(req); got != "copy backup/again/backup/app:v1" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestAMapThatMakesOneTagOfTwoIsRefusedBeforeAnythingMoves(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	req := yard.Whole()
	req.Map = plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "x"}, {From: "v2", To: "x"}}}
	got, _, err := y.Transferred(req)
	if got != "" || !fault.Is(err, fault.Invalid) || y.Dst.Requests() != 0 {
		t.Errorf("%s %v %s", got, err, yard.Spent(y.Dst))
	}
}

func TestATransferThatIsInterruptedGoesOnInTheNextRun(t *testing.T) {
	y := yard.New(t)
	const repos = 60 // more than are in flight at the same time
	for i := range repos {
		testbed.Random(t, y.Src, fmt.Sprintf("r%02d", i), "v1", testbed.RandomOptions{Seed: uint64(i + 1)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	_, err := y.Transfer(ctx, yard.Whole(), nil, func(dray.RepositoryReport) error {
		if seen++; seen == 5 {
			cancel()
		}
		return nil
	})
	if !fault.Is(err, fault.Canceled) || seen >= repos {
		t.Fatalf("%d %v", seen, err)
	}
	y.Complete()
	enough := errors.New("enough")
	if _, err := y.Transfer(t.Context(), yard.Whole(), nil, func(dray.RepositoryReport) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	_, sum, err := y.Transferred(yard.Whole())
	if err != nil || sum.States[dray.Done]+sum.States[dray.Unchanged] != repos || sum.States[dray.Unchanged] < 5 {
		t.Errorf("%+v %v", sum.States, err)
	}
	y.Complete()
}

func TestOtherWritersLeaveNoDanglingTag(t *testing.T) {
	y := yard.New(t)
	for i := range 6 {
		y.Tagged(fmt.Sprintf("r%d", i), "v1", "v2")
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // moves tags at both sides while the transfers run
		defer close(done)
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			testbed.Random(t, y.Src, fmt.Sprintf("r%d", i%6), "v1", testbed.RandomOptions{Seed: 100 + i%17, Size: 500})
			testbed.Random(t, y.Dst, fmt.Sprintf("r%d", i%5), "v2", testbed.RandomOptions{Seed: 200 + i%13, Size: 500})
		}
	}()
	for range 5 {
		if _, _, err := y.Transferred(yard.Whole()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-done
	if _, _, err := y.Transferred(yard.Whole()); err != nil {
		t.Error(err)
	}
	y.Complete()
	if got, err := y.Planned(yard.Whole()); err != nil || strings.Contains(got, "copy") || strings.Contains(got, "replace") {
		t.Errorf("%s %v", got, err)
	}
}

func TestTimesThatNoListingTellsAreReadOnceForEachImage(t *testing.T) {
	y := yard.New(t)
	made := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	dated(y, "app", made, "old")
	dated(y, "app", made.Add(time.Hour), "new", "latest")
	y.Tagged("app", "undated")
	y.Forget()
	req := yard.Whole()
	req.Selection.Since = made.Add(time.Minute)
	got, err := y.Planned(req)
	if err != nil || got != "copy app:latest, copy app:new, copy app:undated" {
		t.Errorf("%s %v", got, err)
	}
	if y.Src.Count(http.MethodGet, testbed.Manifest) != 3 || y.Src.Count(http.MethodGet, testbed.Blob) != 3 || y.Src.Count(http.MethodHead, testbed.Manifest) != 4 {
		t.Errorf("%s", yard.Spent(y.Src))
	}
	y.Forget()
	if got, _, err := y.Transferred(req); err != nil || strings.Count(got, "done") != 3 {
		t.Errorf("%s %v", got, err)
	}
	if y.Src.Count(http.MethodGet, testbed.Manifest) != 3 {
		t.Errorf("documents that were read for their time are read again: %s", yard.Spent(y.Src))
	}
	req.Selection = plan.Selection{Latest: 1, Order: plan.ByTime}
	if got, err := y.Planned(req); err != nil || got != "skip app:new" && got != "skip app:latest" {
		t.Errorf("%s %v", got, err)
	}
}

func TestTimesThatWereReadAreRememberedByTheNextRun(t *testing.T) {
	y := yard.New(t)
	made := time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)
	dated(y, "app", made, "old")
	dated(y, "app", made.Add(time.Hour), "new")
	state, req := t.TempDir(), yard.Whole()
	req.Selection.Since = made.Add(time.Minute)
	for _, reads := range []int{4, 0} { // two images, each with a manifest and a configuration
		y.Run(state)
		if got, err := y.Planned(req); err != nil || got != "copy app:new" {
			t.Errorf("%s %v", got, err)
		}
		if n := y.Src.Count(http.MethodGet, testbed.Manifest) + y.Src.Count(http.MethodGet, testbed.Blob); n != reads {
			t.Errorf("%d reads, want %d: %s", n, reads, yard.Spent(y.Src))
		}
	}
}

// dated stores an image with a creation time under tags.
func dated(y *yard.Yard, repo string, made time.Time, tags ...string) {
	y.T.Helper()
	config := y.Src.Blob(y.T, repo, v1.MediaTypeImageConfig, fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","created":%q,"rootfs":{"type":"layers","diff_ids":[]}}`, made.Format(time.RFC3339)))
	raw, err := json.Marshal(v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: config, Layers: []v1.Descriptor{}})
	if err != nil {
		y.T.Fatal(err)
	}
	for _, tag := range tags {
		y.Src.Manifest(y.T, repo, tag, v1.MediaTypeImageManifest, raw)
	}
}

func TestAnImageOfManyTagsIsReadOnce(t *testing.T) {
	y, shelf := yard.Azure(t, 6)
	req := dray.TransferRequest{Sources: []string{"src/" + shelf.Repo}, Target: "dst"}
	got, sum, err := y.Transferred(req)
	if err != nil || strings.Count(got, "done") != 6 {
		t.Fatalf("%s %v", got, err)
	}
	if y.Src.Count(http.MethodHead, testbed.Manifest) != 0 || y.Src.Count(http.MethodGet, testbed.Manifest) != 2 {
		t.Errorf("want one read of an image with three tags, and no request for a tag: %s", yard.Spent(y.Src))
	}
	if sum.Blobs.Sent != y.Dst.Count(http.MethodPut, testbed.Upload) {
		t.Errorf("%+v\n%s", sum.Blobs, yard.Spent(y.Dst))
	}
}

func TestSixtyFourNamesAreAskedForAtOnceAtEachSide(t *testing.T) {
	var busy, most [2]atomic.Int64
	slow := func(side int, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodHead {
				n := busy[side].Add(1)
				for old := most[side].Load(); n > old && !most[side].CompareAndSwap(old, n); old = most[side].Load() {
				}
				time.Sleep(150 * time.Millisecond) // enough that also a busy machine has them all in flight
				defer busy[side].Add(-1)
			}
			next.ServeHTTP(w, req)
		})
	}
	src := testbed.Serve(t, slow(0, testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	dst := testbed.Serve(t, slow(1, testbed.NewDistribution(t, testbed.Options{})), testbed.Options{})
	y := yard.Of(t, src, dst)
	for _, r := range []*testbed.Registry{src, dst} {
		for i := range 4 {
			repo := fmt.Sprintf("r%d", i)
			img := testbed.Random(t, r, repo, "t000", testbed.RandomOptions{Seed: 1})
			raw := y.Raw(r, repo, "t000", img.Root.MediaType)
			for k := 1; k < 100; k++ {
				r.Manifest(t, repo, fmt.Sprintf("t%03d", k), img.Root.MediaType, raw)
			}
		}
	}
	y.Forget()
	_, sum, err := y.Transferred(yard.Whole())
	if err != nil || sum.States[dray.Unchanged] != 400 {
		t.Fatalf("%+v %v", sum, err)
	}
	t.Logf("%v; at most %d and %d in parallel", sum.Took, most[0].Load(), most[1].Load())
	for side := range most {
		if n := most[side].Load(); n < 32 || n > 64 {
			t.Errorf("side %d: at most %d in parallel", side, n)
		}
	}
}

func TestTokensCoverWhatIsMountedFromOtherRepositories(t *testing.T) {
	o := testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer}}
	y := yard.Of(t, testbed.Distribution(t, o), testbed.Distribution(t, o))
	for i := range 6 {
		testbed.Random(t, y.Src, fmt.Sprintf("r%d", i), "v1", testbed.RandomOptions{Seed: 5, Layers: 2})
		testbed.Random(t, y.Src, fmt.Sprintf("r%d", i), "v2", testbed.RandomOptions{Seed: uint64(10 + i)})
	}
	req := yard.Whole()
	login, err := credential.FromPassword("user", testbed.Password)
	if err != nil {
		t.Fatal(err)
	}
	req.SourceLogin, req.TargetLogin = &login, &login
	y.Forget()
	got, sum, err := y.Transferred(req)
	if err != nil || strings.Count(got, "done") != 12 || sum.Blobs.Sent != 3+6*2 || sum.Blobs.Mounted != 5*3 {
		t.Errorf("%s %v %+v", got, err, sum.Blobs)
	}
	if n := y.Src.Issuer.Issued(); n > 6+1 {
		t.Errorf("%d tokens of the source for 6 repositories and their list", n)
	}
	before := y.Dst.Issuer.Issued()
	if _, sum, err = y.Transferred(req); err != nil || sum.States[dray.Unchanged] != 12 {
		t.Errorf("%+v %v", sum.States, err)
	}
	if n := y.Dst.Issuer.Issued() - before; n > 6 {
		t.Errorf("%d more tokens of the target", n)
	}
}
