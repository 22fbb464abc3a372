package dray_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// yard is two registries and a Dray that knows them as "src" and "dst".
type yard struct {
	*dray.Dray
	t        *testing.T
	src, dst *testbed.Registry
}

func newYard(t *testing.T) *yard {
	t.Helper()
	open := testbed.Options{Content: testbed.Open}
	return yardOf(t, testbed.Distribution(t, open), testbed.Distribution(t, open))
}

func yardOf(t *testing.T, src, dst *testbed.Registry) *yard {
	t.Helper()
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}},
		"dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &yard{Dray: d, t: t, src: src, dst: dst}
}

// forget begins the request logs anew.
func (y *yard) forget() { y.src.Reset(); y.dst.Reset() }

func (y *yard) apply(p *dray.Prepared, err error) (dray.Report, error) {
	y.t.Helper()
	if err != nil {
		return dray.Report{}, err
	}
	return y.Apply(y.t.Context(), p, nil)
}

func (y *yard) doImport(req dray.ImportRequest) (dray.Report, error) {
	y.t.Helper()
	return y.apply(y.PlanImport(y.t.Context(), req, nil))
}

func (y *yard) doCopy(req dray.CopyRequest) (dray.Report, error) {
	y.t.Helper()
	return y.apply(y.PlanCopy(y.t.Context(), req, nil))
}

func (y *yard) must(rep dray.Report, err error) dray.Report {
	y.t.Helper()
	if err != nil {
		y.t.Fatalf("%v (hint: %s)", err, fault.HintOf(err))
	}
	return rep
}

// spent lists "METHOD kind ×n" of a registry, sorted.
func spent(r *testbed.Registry) string {
	count := map[string]int{}
	for _, q := range r.Log() {
		count[fmt.Sprintf("%s %s", q.Method, q.Kind)]++
	}
	var lines []string
	for what, n := range count {
		lines = append(lines, fmt.Sprintf("%s ×%d", what, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func (y *yard) wantSpent(src, dst string) {
	y.t.Helper()
	if got := spent(y.src); got != src {
		y.t.Errorf("source: %s\n  want: %s\n%s", got, src, y.src.Story())
	}
	if y.src != y.dst {
		if got := spent(y.dst); got != dst {
			y.t.Errorf("target: %s\n  want: %s\n%s", got, dst, y.dst.Story())
		}
	}
}

// spends holds what a report says of each registry against what that counted.
func (y *yard) spends(got map[string]dray.Traffic, registries ...*testbed.Registry) {
	y.t.Helper()
	for _, r := range registries {
		var in, out int64
		for _, q := range r.Log() {
			in += q.In
			if q.Method != http.MethodHead { // its body is counted, and never leaves
				out += q.Out
			}
		}
		if got := got[r.Host]; got.Requests != r.Requests() || got.Sent != in || got.Received != out {
			y.t.Errorf("%s: report %+v, counted %d requests, %d in, %d out: %s", r.Host, got, r.Requests(), in, out, spent(r))
		}
	}
}

func TestImportBringsAnImageUnderTwoNamesWithOneReading(t *testing.T) {
	y := newYard(t)
	img := testbed.Random(t, y.src, "team/app", "v1", testbed.RandomOptions{Layers: 3, Size: 64 << 10})
	y.forget()
	rep := y.must(y.doImport(dray.ImportRequest{Source: "src/team/app:v1", Target: "dst", Images: []string{"app:v1", "app:latest"}}))
	// n = 4 blobs: POST, which asks whether it is there, and PUT each; one HEAD and one PUT a tag.
	y.wantSpent("GET blob ×4, GET manifest ×1, HEAD manifest ×1", "HEAD manifest ×2, POST upload ×4, PUT manifest ×2, PUT upload ×4")
	testbed.Same(t, y.src, y.dst, "team/app", "v1", "app", "v1")
	testbed.Same(t, y.src, y.dst, "team/app", "v1", "app", "latest")
	if rep.Count(dray.Done) != 2 || rep.Steps[0].Blobs.Sent != 4 || rep.Steps[0].Blobs.Bytes != img.Bytes || rep.Steps[1].Blobs.Sent != 0 {
		t.Errorf("report %+v", rep.Steps)
	}
}

func TestTheReportAddsUpToWhatTheRegistriesCounted(t *testing.T) {
	y := newYard(t)
	testbed.Index(t, y.src, "team/app", "v1", 3)
	y.forget()
	rep := y.must(y.doCopy(dray.CopyRequest{Source: "src/team/app:v1", Targets: []string{"dst/app", "dst/other/app:x"}}))
	y.spends(rep.Traffic, y.src, y.dst)
}

func TestAnImportThatIsThereAlreadyCostsOneHeadOnEachSide(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "team/app", "v1", testbed.RandomOptions{})
	req := dray.ImportRequest{Source: "src/team/app:v1", Target: "dst", Images: []string{"app:v1"}}
	y.must(y.doImport(req))
	y.forget()
	rep := y.must(y.doImport(req))
	y.wantSpent("HEAD manifest ×1", "HEAD manifest ×1")
	if rep.Count(dray.Unchanged) != 1 {
		t.Errorf("report %+v", rep.Steps)
	}
}

func TestATagCostsOneGetAndOnePut(t *testing.T) {
	y := newYard(t)
	img := testbed.Index(t, y.src, "team/app", "v1", 2)
	y.forget()
	y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/team/app:v1", Tags: []string{"stable"}}, nil)))
	y.wantSpent("GET manifest ×1, PUT manifest ×1", "")
	y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/team/app@" + img.Digest(), Tags: []string{"prod", "x"}}, nil)))
	for _, tag := range []string{"stable", "prod", "x"} {
		testbed.Same(t, y.src, y.src, "team/app", "v1", "team/app", tag)
	}
}

func TestATagThatIsANameElsewhereIsRefusedAndCopyIsNamed(t *testing.T) {
	y := newYard(t)
	for _, tag := range []string{"dst/app:v1", "app:v1", "app@sha256:00"} {
		_, err := y.PlanTag(t.Context(), dray.TagRequest{Image: "src/team/app:v1", Tags: []string{tag}}, nil)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "dray copy") {
			t.Errorf("%s: %v (%s)", tag, err, fault.HintOf(err))
		}
	}
	if y.src.Requests() != 0 {
		t.Error("asked the registry about a name that can not be")
	}
}

func TestACopyWithinARegistryMountsEveryBlob(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{})
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{"src": {Host: reg.Host, Settings: dray.Settings{PlainHTTP: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{Dray: d, t: t, src: reg, dst: reg}
	testbed.Random(t, reg, "test", "25", testbed.RandomOptions{Layers: 10})
	y.forget()
	rep := y.must(y.doCopy(dray.CopyRequest{Source: "http://" + reg.Host + "/test:25", Targets: []string{reg.Host + "/test2:stable"}}))
	y.wantSpent("GET manifest ×1, HEAD manifest ×1, POST upload ×11, PUT manifest ×1", "") // 3 + n
	if rep.Steps[0].Blobs.Mounted != 11 || rep.Traffic[reg.Host].Sent > 8<<10 {
		t.Errorf("report %+v, %+v", rep.Steps, rep.Traffic)
	}
	testbed.Same(t, reg, reg, "test", "25", "test2", "stable")
}

func TestWithoutForceOneConflictStopsEverythingBeforeAByteMoves(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, y.dst, "app", "taken", testbed.RandomOptions{Seed: 2})
	y.forget()
	req := dray.ImportRequest{Source: "src/app:v1", Target: "dst", Images: []string{"app:free", "app:taken"}}
	rep, err := y.doImport(req)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err), "--force") || strings.Count(err.Error(), "sha256:") != 2 {
		t.Fatalf("%v (%s)", err, fault.HintOf(err))
	}
	if rep.Steps[0].State != dray.NotStarted || rep.Steps[1].State != dray.Failed {
		t.Errorf("report %+v", rep.Steps)
	}
	y.wantSpent("HEAD manifest ×1", "HEAD manifest ×2")
	req.Overwrite = plan.Update
	y.must(y.doImport(req))
	testbed.Same(t, y.src, y.dst, "app", "v1", "app", "taken")
}

func TestAManifestOnlyCopyMakesNoTag(t *testing.T) {
	y := newYard(t)
	img := testbed.Index(t, y.src, "library/hello", "latest", 2)
	p, err := y.PlanImport(t.Context(), dray.ImportRequest{Source: "src/library/hello@" + img.Digest(), Target: "dst"}, nil)
	if err != nil || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "without a tag") {
		t.Fatalf("%v %v", p, err)
	}
	y.must(y.apply(p, nil))
	testbed.Same(t, y.src, y.dst, "library/hello", img.Digest(), "library/hello", img.Digest())
	y.must(y.doImport(dray.ImportRequest{Source: "src/library/hello:latest", Target: "dst", Repositories: []string{"hello"}}))
	for _, repo := range []string{"library/hello", "hello"} {
		err := y.List(t.Context(), dray.LookRequest{Name: "dst/" + repo}, nil, func(e dray.Entry) error {
			return fmt.Errorf("a tag was made: %s", e.Name)
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	}
	y.forget()
	if rep := y.must(y.doImport(dray.ImportRequest{Source: "src/library/hello:latest", Target: "dst", Repositories: []string{"hello"}})); rep.Count(dray.Unchanged) != 1 {
		t.Errorf("the second time: %+v", rep.Steps)
	}
	y.wantSpent("HEAD manifest ×1", "HEAD manifest ×1")
}

// F-61 within one command: the source tag moves between the survey and the work.
func TestASourceTagThatMovesMeanwhileLeavesAWholeTarget(t *testing.T) {
	y := newYard(t)
	before := testbed.Random(t, y.src, "app", "latest", testbed.RandomOptions{Seed: 1})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:latest", Targets: []string{"dst/app"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.src, "app", "latest", testbed.RandomOptions{Seed: 2})
	y.must(y.apply(p, nil))
	testbed.Same(t, y.src, y.dst, "app", before.Digest(), "app", "latest")
}

func TestAPlanFromAFileIsHeldAgainstBothEnds(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Seed: 1})
	file := func() *dray.Prepared {
		p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := p.Write(&buf); err != nil {
			t.Fatal(err)
		}
		back, err := dray.ReadPlan(&buf)
		if err != nil {
			t.Fatal(err)
		}
		return back
	}
	p, again := file(), file()
	y.must(y.apply(p, nil))
	y.must(y.apply(again, nil)) // the target holds what the plan wants by now: that is no reason to stop

	stale := file()
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Seed: 2})
	if rep, err := y.apply(stale, nil); !fault.Is(err, fault.Moved) || !strings.HasPrefix(err.Error(), "source: ") || rep.Steps[0].State != dray.Failed {
		t.Errorf("source moved: %v", err)
	}
	stale = file()
	testbed.Random(t, y.dst, "app", "v1", testbed.RandomOptions{Seed: 3})
	before := testbed.CraneDigest(t, y.dst, "app", "v1")
	if _, err := y.apply(stale, nil); !fault.Is(err, fault.Moved) || !strings.HasPrefix(err.Error(), "target: ") {
		t.Errorf("target moved: %v", err)
	}
	if testbed.CraneDigest(t, y.dst, "app", "v1") != before {
		t.Error("a stale plan was applied")
	}
}

func TestAllTagsAreCopiedAndEqualOnesSkipped(t *testing.T) {
	y := newYard(t)
	for i := range 5 {
		testbed.Random(t, y.src, "app", fmt.Sprint("v", i), testbed.RandomOptions{Seed: uint64(i), Layers: 2})
	}
	req := dray.CopyRequest{Source: "src/app", Targets: []string{"dst/mirror/app"}, Tags: dray.AllTags}
	if rep := y.must(y.doCopy(req)); rep.Count(dray.Done) != 5 {
		t.Errorf("%+v", rep.Steps)
	}
	testbed.Random(t, y.src, "app", "v3", testbed.RandomOptions{Seed: 99})
	rep := y.must(y.doCopy(req))
	if rep.Count(dray.Done) != 1 || rep.Count(dray.Unchanged) != 4 {
		t.Errorf("%+v", rep.Steps)
	}
	testbed.Same(t, y.src, y.dst, "app", "v3", "mirror/app", "v3")
}

func TestALayoutIsASourceAndATarget(t *testing.T) {
	y := newYard(t)
	testbed.Index(t, y.src, "app", "v1", 2)
	dir := "oci:" + filepath.Join(t.TempDir(), "layout")
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{dir + ":one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := y.List(t.Context(), dray.LookRequest{Name: dir}, nil, func(dray.Entry) error { return nil }); !fault.Is(err, fault.NotFound) {
		t.Errorf("planning made a layout: %v", err)
	}
	y.must(y.apply(p, nil))
	y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: dir + ":one", Tags: []string{"two"}}, nil)))
	y.must(y.doCopy(dray.CopyRequest{Source: dir + ":two", Targets: []string{"dst/back"}}))
	testbed.Same(t, y.src, y.dst, "app", "v1", "back", "two")
}

func TestADryRunMakesNoWrite(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
	if err != nil || !strings.HasPrefix(p.String(), "copy      "+y.src.Host+"/app:v1 -> "+y.dst.Host+"/app:v1  sha256:") {
		t.Fatalf("%v, %v", p, err)
	}
	for _, q := range y.dst.Log() {
		if q.Method != http.MethodHead && q.Method != http.MethodGet {
			t.Errorf("a plan wrote: %s %s", q.Method, q.Path)
		}
	}
}

func TestRealImagesArriveByteForByte(t *testing.T) {
	y := newYard(t)
	for name, put := range map[string]func(testing.TB, *testbed.Registry, string, string) testbed.Image{
		"hello": testbed.HelloWorld, "chart": testbed.HelmChart, "busybox": testbed.Busybox,
		"artifact": func(tb testing.TB, r *testbed.Registry, repo, tag string) testbed.Image {
			return testbed.Artifact(tb, r, repo, tag, testbed.Random(tb, r, repo, "", testbed.RandomOptions{}).Root)
		},
		"win": func(tb testing.TB, r *testbed.Registry, repo, tag string) testbed.Image {
			return testbed.Foreign(tb, r, repo, tag, "https://mcr.example/layer")
		},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, y.src, name, "v1")
			y := &yard{Dray: y.Dray, t: t, src: y.src, dst: y.dst}
			y.must(y.doImport(dray.ImportRequest{Source: "src/" + name + ":v1", Target: "dst"}))
			testbed.Same(t, y.src, y.dst, name, "v1", name, "v1")
			if name != "win" {
				testbed.CraneDigest(t, y.dst, name, "v1")
			}
			if name == "busybox" || name == "hello" {
				testbed.SkopeoInspect(t, y.dst, name, "v1")
			}
			if name == "busybox" {
				testbed.UmociUnpack(t, y.dst, name, "v1")
			}
		})
	}
}

// F-52, and more than the 50 manifests that az acr import takes.
func TestAnIndexOf120ManifestsAndNestedIndexesArriveWhole(t *testing.T) {
	y := newYard(t)
	testbed.Index(t, y.src, "many", "v1", 120)
	testbed.Nested(t, y.src, "deep", "v1", 4)
	for _, repo := range []string{"many", "deep"} {
		y.must(y.doCopy(dray.CopyRequest{Source: "src/" + repo + ":v1", Targets: []string{"dst/" + repo}}))
		testbed.Same(t, y.src, y.dst, repo, "v1", repo, "v1")
	}
}

func TestEveryTagOfARealRepositoryOfOddThingsIsCopied(t *testing.T) {
	y := newYard(t)
	tags := testbed.Layout(t, y.src, "repo", testbed.RegclientRepo(t))
	rep := y.must(y.doCopy(dray.CopyRequest{Source: "src/repo", Targets: []string{"dst/repo"}, Tags: dray.AllTags}))
	if len(rep.Steps) != len(tags) {
		t.Errorf("%d steps for %d tags", len(rep.Steps), len(tags))
	}
	for tag := range tags {
		testbed.Same(t, y.src, y.dst, "repo", tag, "repo", tag)
	}
}

func TestAReportIsStableJSON(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, y.dst, "app", "v1", testbed.RandomOptions{Seed: 7})
	rep, _ := y.doImport(dray.ImportRequest{Source: "src/app:v1", Target: "dst"})
	raw, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"verb":"import"`, `"state":"failed"`, `"action":"conflict"`, `"kind":"conflict"`, `"side":"target"`, `"hint":"--force`, `"traffic":{`, `"requests":1`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

func TestWhoWatchesHearsTheStoryInOrder(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Layers: 2})
	var mu sync.Mutex
	var kinds []event.Kind
	watch := func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind != event.Requested && e.Kind != event.Advanced {
			kinds = append(kinds, e.Kind)
		}
	}
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, watch)
	if err != nil {
		t.Fatal(err)
	}
	y.must(y.Apply(t.Context(), p, watch))
	if kinds[0] != event.Resolved || kinds[1] != event.Sized || !slices.Equal(kinds[len(kinds)-3:], []event.Kind{event.Tagged, event.Finished}) && !slices.Equal(kinds[len(kinds)-2:], []event.Kind{event.Tagged, event.Finished}) {
		t.Errorf("%v", kinds)
	}
}

func TestACallerWhoGivesUpGetsAReportOfWhatIsLeft(t *testing.T) {
	y := newYard(t)
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rep, err := y.Apply(ctx, p, nil)
	if !fault.Is(err, fault.Canceled) || rep.Count(dray.Done) != 0 || len(rep.Steps) != 1 {
		t.Errorf("%v %+v", err, rep.Steps)
	}
}

// Such a registry answers no read while it waits for the body of an upload, and mounts nothing.
func TestACopyWithinARegistryThatDoesOneThingAtATimeDoesNotWaitForItself(t *testing.T) {
	reg := testbed.Sloppy(t, testbed.Options{})
	y := yardOf(t, reg, testbed.Distribution(t, testbed.Options{}))
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{Layers: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := y.PlanCopy(ctx, dray.CopyRequest{Source: "src/app:v1", Targets: []string{"src/app2"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	y.must(y.Apply(ctx, p, nil))
	testbed.Same(t, reg, reg, "app", "v1", "app2", "v1")
}
