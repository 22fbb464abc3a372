package apply_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestManyTagsAreImportedEachOnItsOwn(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1.0", "v1.1", "latest")
	rep, err := y.Import(dray.ImportRequest{Source: "src/app", Tags: []string{"v1.0", "v9", "v1.1", "latest"}, Target: "dst", Images: []string{"mirror/app"}})
	if !fault.Is(err, fault.NotFound) || !strings.HasPrefix(err.Error(), "source: resolve ") || !strings.Contains(err.Error(), "/app:v9") {
		t.Errorf("%v", err)
	}
	if got := yard.States(rep); got != "mirror/app:latest done, mirror/app:v1.0 done, mirror/app:v1.1 done, mirror/app:v9 failed" {
		t.Error(got)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1.1", "mirror/app", "v1.1")
}

func TestAllOrNothingSetsNoNameWhereOneFails(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	req := dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2", "v9"}, Target: "dst", Hold: plan.All}
	rep, err := y.Import(req)
	if !fault.Is(err, fault.NotFound) || rep.Count(dray.NotStarted) != 2 || y.Dst.Count(http.MethodPut, testbed.Manifest) != 0 {
		t.Errorf("%v %s", err, yard.States(rep))
	}
	req.Tags = req.Tags[:2]
	rep = y.Must(y.Import(req))
	if rep.Steps[0].Blobs.Sent == 0 {
		t.Error("the report has no blobs")
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v2", "app", "v2")
}

func TestAllOrNothingNamesNothingWhereContentDoesNotArrive(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	full := hostile.Status(http.StatusInsufficientStorage, nil, "").On(http.MethodPut, testbed.Upload).Times(1)
	dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), full)
	y := yard.Of(t, src, dst)
	y.Tagged("app", "v1", "v2")
	rep, err := y.Import(dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst", Hold: plan.All})
	if !fault.Is(err, fault.Full) || full.Fired() != 1 {
		t.Errorf("%v", err)
	}
	if rep.Count(dray.Done) != 0 {
		t.Error(yard.States(rep))
	}
	for _, q := range dst.Log() {
		if q.Method == http.MethodPut && strings.Contains(q.Path, "/manifests/v") {
			t.Errorf("a tag was set: %s", q.Path)
		}
	}
}

func TestAMapsKeysAreTheTagsAndNeverLatest(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1.0", "latest", "other")
	m := plan.TagMap{Pairs: []plan.Pair{{From: "latest", To: "stable"}, {From: "v1.0", To: "v1.0-production"}}}
	rep := y.Must(y.Import(dray.ImportRequest{Source: "src/app", Map: m, Target: "dst"}))
	if got := yard.States(rep); got != "app:stable done, app:v1.0-production done" {
		t.Error(got)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "latest", "app", "stable")
	rep = y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/all"}, Tags: dray.AllTags, Map: m}))
	if got := yard.States(rep); got != "all:stable done, all:other done, all:v1.0-production done" {
		t.Error(got)
	}
	y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "dst/all", Map: plan.TagMap{Pairs: []plan.Pair{{From: "stable", To: "prod"}}}}, nil)))
	testbed.Same(t, y.Src, y.Dst, "app", "latest", "all", "prod")
	rep = y.Must(y.Copy(dray.CopyRequest{Source: "src/app:latest", Targets: []string{"dst/one"}, Map: m}))
	if got := yard.States(rep); got != "one:stable done" {
		t.Error(got)
	}
}

func TestTwoTagsThatLandOnOneAreRefusedBeforeAnythingMoves(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	_, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags,
		Map: plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "x"}, {From: "v2", To: "x"}}}}, nil)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "two sources with different content have this target") {
		t.Error(err)
	}
}

func TestNamesThatMoveAreSetAfterThoseThatStay(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "a-latest", "v1", "v2")
	testbed.SkopeoCopy(t, y.Src, "app", "v2") // the image is complete
	y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v2", Tags: []string{"latest"}}, nil)))
	y.Forget()
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags}))
	var order []string
	for _, q := range y.Dst.Log() {
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
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v2", Tags: []string{"2", "latest"}}, nil)))
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:latest", Targets: []string{"dst/app"}, Tags: dray.Sharing}))
	if got := yard.States(rep); got != "app:2 done, app:latest done, app:v2 done" {
		t.Error(got)
	}
}

func TestABatchGoesOnPastBadEntries(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	testbed.Random(t, y.Dst, "taken", "v1", testbed.RandomOptions{Seed: 9})
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
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	var entries []dray.BatchEntry
	for _, tag := range []string{"v1", "v2"} {
		desc, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/app:" + tag}, nil)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, dray.BatchEntry{Source: "src/app@" + string(desc.Digest)})
	}
	for _, want := range []string{"app: done, app: done", "app: unchanged, app: unchanged"} {
		rep := y.Must(y.Applied(y.PlanBatch(t.Context(), dray.BatchRequest{Target: "dst", Entries: entries}, nil)))
		if got := yard.States(rep); got != want {
			t.Error(got)
		}
	}
}

func TestTagsOfARepositoryAreRenamedByAnExpression(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1.0", "v1.1", "latest")
	sub, err := plan.ParseSubstitution(`s/^v(.*)$/v$1-production/`)
	if err != nil {
		t.Fatal(err)
	}
	m := plan.TagMap{Pairs: []plan.Pair{{From: "v1.1", To: "next"}}, Rename: plan.Renames{sub}}
	y.Forget()
	rep := y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app", Map: m}, nil)))
	if got := yard.States(rep); got != "app:v1.0-production done, app:next done" {
		t.Error(got)
	}
	y.WantSpent("GET manifest ×2, GET tags ×1, PUT manifest ×2", "")
	testbed.Same(t, y.Src, y.Src, "app", "v1.0", "app", "v1.0-production")
	if _, err := y.PlanTag(t.Context(), dray.TagRequest{Image: "src/app:v1.0", Map: m}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an expression for one image: %v", err)
	}
}
