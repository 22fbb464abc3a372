package dray_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// tagged fills the source with an image for each tag.
func (y *yard) tagged(repo string, tags ...string) {
	y.t.Helper()
	for i, tag := range tags {
		testbed.Random(y.t, y.src, repo, tag, testbed.RandomOptions{Seed: uint64(i + 1)})
	}
}

// states lists "target state", in the report's order.
func states(rep dray.Report) string {
	var lines []string
	for _, s := range rep.Steps {
		lines = append(lines, fmt.Sprintf("%s:%s %s", s.To.Path, s.To.Tag, s.State))
	}
	return strings.Join(lines, ", ")
}

func TestManyTagsAreImportedEachOnItsOwn(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1.0", "v1.1", "latest")
	rep, err := y.doImport(dray.ImportRequest{Source: "src/app", Tags: []string{"v1.0", "v9", "v1.1", "latest"}, Target: "dst", Images: []string{"mirror/app"}})
	if !fault.Is(err, fault.NotFound) || !strings.HasPrefix(err.Error(), "source: resolve ") || !strings.Contains(err.Error(), "/app:v9") {
		t.Errorf("%v", err)
	}
	if got := states(rep); got != "mirror/app:latest done, mirror/app:v1.0 done, mirror/app:v1.1 done, mirror/app:v9 failed" {
		t.Error(got)
	}
	testbed.Same(t, y.src, y.dst, "app", "v1.1", "mirror/app", "v1.1")
}

func TestAllOrNothingSetsNoNameWhereOneFails(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	req := dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2", "v9"}, Target: "dst", Hold: plan.All}
	rep, err := y.doImport(req)
	if !fault.Is(err, fault.NotFound) || rep.Count(dray.NotStarted) != 2 || y.dst.Count(http.MethodPut, testbed.Manifest) != 0 {
		t.Errorf("%v %s", err, states(rep))
	}
	req.Tags = req.Tags[:2]
	rep = y.must(y.doImport(req))
	if rep.Steps[0].Blobs.Sent == 0 {
		t.Error("the report has lost the blobs")
	}
	testbed.Same(t, y.src, y.dst, "app", "v2", "app", "v2")
}

func TestAllOrNothingNamesNothingWhereContentDoesNotArrive(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	full := hostile.Status(http.StatusInsufficientStorage, nil, "").On(http.MethodPut, testbed.Upload).Times(1)
	dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), full)
	y := yardOf(t, src, dst)
	y.tagged("app", "v1", "v2")
	rep, err := y.doImport(dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst", Hold: plan.All})
	if !fault.Is(err, fault.Full) || full.Fired() != 1 {
		t.Errorf("%v", err)
	}
	if rep.Count(dray.Done) != 0 {
		t.Error(states(rep))
	}
	for _, q := range dst.Log() {
		if q.Method == http.MethodPut && strings.Contains(q.Path, "/manifests/v") {
			t.Errorf("a tag was set: %s", q.Path)
		}
	}
}

func TestAMapsKeysAreTheTagsAndNeverLatest(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1.0", "latest", "other")
	m := plan.TagMap{Pairs: []plan.Pair{{From: "latest", To: "stable"}, {From: "v1.0", To: "v1.0-production"}}}
	rep := y.must(y.doImport(dray.ImportRequest{Source: "src/app", Map: m, Target: "dst"}))
	if got := states(rep); got != "app:stable done, app:v1.0-production done" {
		t.Error(got)
	}
	testbed.Same(t, y.src, y.dst, "app", "latest", "app", "stable")
	rep = y.must(y.doCopy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/all"}, Tags: dray.AllTags, Map: m}))
	if got := states(rep); got != "all:stable done, all:other done, all:v1.0-production done" {
		t.Error(got)
	}
	y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: "dst/all", Map: plan.TagMap{Pairs: []plan.Pair{{From: "stable", To: "prod"}}}}, nil)))
	testbed.Same(t, y.src, y.dst, "app", "latest", "all", "prod")
	rep = y.must(y.doCopy(dray.CopyRequest{Source: "src/app:latest", Targets: []string{"dst/one"}, Map: m}))
	if got := states(rep); got != "one:stable done" {
		t.Error(got)
	}
}

func TestTwoTagsThatLandOnOneAreRefusedBeforeAnythingMoves(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	_, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags,
		Map: plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "x"}, {From: "v2", To: "x"}}}}, nil)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "two different sources") {
		t.Error(err)
	}
}

func TestNamesThatMoveAreSetAfterThoseThatStay(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "a-latest", "v1", "v2")
	testbed.SkopeoCopy(t, y.src, "app", "v2") // the image is whole
	y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v2", Tags: []string{"latest"}}, nil)))
	y.forget()
	y.must(y.doCopy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags}))
	var order []string
	for _, q := range y.dst.Log() {
		if q.Method == http.MethodPut && strings.Contains(q.Path, "/manifests/") {
			order = append(order, q.Path[strings.LastIndexByte(q.Path, '/')+1:])
		}
	}
	moved := slices.Index(order, "latest")
	if moved < slices.Index(order, "v1") || moved < slices.Index(order, "v2") || len(order) != 4 {
		t.Errorf("%v", order)
	}
}

func TestEveryTagThatSharesADigestIsTakenAlong(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v2", Tags: []string{"2", "latest"}}, nil)))
	rep := y.must(y.doCopy(dray.CopyRequest{Source: "src/app:latest", Targets: []string{"dst/app"}, Tags: dray.Sharing}))
	if got := states(rep); got != "app:2 done, app:latest done, app:v2 done" {
		t.Error(got)
	}
}

func TestABatchGoesOnPastBadEntries(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	testbed.Random(t, y.dst, "taken", "v1", testbed.RandomOptions{Seed: 9})
	p, err := y.PlanBatch(t.Context(), dray.BatchRequest{Target: "dst", Entries: []dray.BatchEntry{
		{Source: "src/app:v1", Targets: []string{"one:v1"}, Line: 1},
		{Source: "src/app:v1", Targets: []string{"Bad:v1"}, Line: 2},
		{Source: "src/gone:v1", Targets: []string{"gone"}, Line: 3},
		{Source: "src/app:v1", Targets: []string{"taken:v1"}, Line: 4},
		{Source: "src/app:v2", Targets: []string{"forced:v1", "taken:v2"}, Line: 5, Overwrite: plan.Update},
		{Source: "src/app:v2", Line: 6},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := y.Apply(t.Context(), p, nil)
	got := map[string]dray.State{}
	kinds := map[string]fault.Kind{}
	for _, s := range rep.Steps {
		name := s.To.Path + ":" + s.To.Tag
		if s.Asked != "" {
			name = s.Asked
		}
		got[name], kinds[name] = s.State, fault.KindOf(s.Err)
	}
	want := map[string]dray.State{"one:v1": dray.Done, "src/app:v1 Bad:v1": dray.Failed, "gone:v1": dray.Failed, "gone:latest": dray.Failed,
		"taken:v1": dray.Failed, "forced:v1": dray.Done, "taken:v2": dray.Done, "app:v2": dray.Done}
	for name, state := range got {
		if want[name] != state {
			t.Errorf("%s: %s (%s)", name, state, kinds[name])
		}
	}
	if len(got) != 7 || kinds["taken:v1"] != fault.Conflict || kinds["src/app:v1 Bad:v1"] != fault.Invalid || err == nil {
		t.Errorf("%v %v %v", got, kinds, err)
	}
}

func TestAListBringsManyDigestsToOneRepository(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	var entries []dray.BatchEntry
	for _, tag := range []string{"v1", "v2"} {
		desc, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/app:" + tag}, nil)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, dray.BatchEntry{Source: "src/app@" + string(desc.Digest)})
	}
	for _, want := range []string{"app: done, app: done", "app: unchanged, app: unchanged"} {
		rep := y.must(y.apply(y.PlanBatch(t.Context(), dray.BatchRequest{Target: "dst", Entries: entries}, nil)))
		if got := states(rep); got != want {
			t.Error(got)
		}
	}
}

func TestTagsOfARepositoryAreRenamedByAnExpression(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1.0", "v1.1", "latest")
	sub, err := plan.ParseSubstitution(`s/^v(.*)$/v$1-production/`)
	if err != nil {
		t.Fatal(err)
	}
	m := plan.TagMap{Pairs: []plan.Pair{{From: "v1.1", To: "next"}}, Rename: plan.Renames{sub}}
	y.forget()
	rep := y.must(y.apply(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app", Map: m}, nil)))
	if got := states(rep); got != "app:v1.0-production done, app:next done" {
		t.Error(got)
	}
	y.wantSpent("GET manifest ×2, GET tags ×1, PUT manifest ×2", "")
	testbed.Same(t, y.src, y.src, "app", "v1.0", "app", "v1.0-production")
	if _, err := y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v1.0", Map: m}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an expression for one image: %v", err)
	}
}
