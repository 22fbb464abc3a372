package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestAGuardThatRefusesLeavesTheNamesAlone(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "latest")
	old := testbed.Random(t, y.Dst, "app", "latest", testbed.RandomOptions{Seed: 50})
	gone := &fault.Fault{Kind: fault.Moved, Op: "run job", Err: errors.New("its lease went")}
	d := y.For(place.Job{Guard: func(context.Context, []plan.Step) error { return gone }})

	_, err := d.Transfer(t.Context(), yard.Whole(), nil, func(dray.RepositoryReport) error { return nil })
	if !fault.Is(err, fault.Moved) {
		t.Errorf("transfer: %v", err)
	}
	p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1", "dst/app:latest", "dst/other:v1"}, Backup: kept("{tag}-old")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := d.Apply(t.Context(), p, nil)
	if !fault.Is(err, fault.Moved) || rep.Count(dray.Failed) != 3 {
		t.Errorf("copy: %v %v", yard.States(rep), err)
	}
	for _, q := range y.Dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest && q.Ref[:3] != "sha" {
			t.Errorf("%s was set", q.Ref)
		}
	}
	if got := testbed.CraneDigest(t, y.Dst, "app", "latest"); got != old.Digest() {
		t.Errorf("latest moved to %s", got)
	}
	// What was copied stays. The next attempt, whose lease is valid, sends no blob again.
	y.Forget()
	if _, err := y.Transfer(t.Context(), yard.Whole(), nil, func(dray.RepositoryReport) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if in, _ := y.Dst.Sent("", testbed.Upload); in != 0 {
		t.Errorf("%d bytes sent again", in)
	}
}

func TestAGuardIsAskedOnceForEachNameBeforeItIsSet(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	asked := map[string]int{}
	d := y.For(place.Job{Guard: func(_ context.Context, steps []plan.Step) error {
		for _, s := range steps {
			asked[s.To.String()]++
			for _, q := range y.Dst.Log() {
				if q.Method == http.MethodPut && q.Ref == s.To.Tag {
					t.Errorf("%s was set before the guard was asked", s.To)
				}
			}
		}
		return nil
	}})
	p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1", "dst/app:stable", "dst/app:v1.0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	// A plan that another Dray made is guarded by the Dray that applies it.
	p, err = y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v2", Targets: []string{"dst/app:v2"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	// The guard is not asked for a step that sets no name.
	p, err = d.PlanImport(t.Context(), dray.ImportRequest{Source: "src/app:v1", Repositories: []string{"dst/bare"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, tag := range []string{"v1", "stable", "v1.0", "v2"} {
		want[y.Dst.Host+"/app:"+tag] = 1
	}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("%v, want %v", asked, want)
	}
}

// The guard learns what a name pointed to before it is set, even if the plan did not look at the
// target.
func TestAGuardIsToldWhatNamesHeld(t *testing.T) {
	y := yard.New(t)
	old := testbed.Random(t, y.Dst, "app", "v2", testbed.RandomOptions{Seed: 50})
	img := testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 51})
	held := map[string]string{}
	d := y.For(place.Job{Guard: func(_ context.Context, steps []plan.Step) error {
		for _, s := range steps {
			held[s.To.Tag] = string(s.Replaces) + " " + string(s.Digest())
		}
		return nil
	}})
	p, err := d.PlanTag(t.Context(), dray.TagRequest{Image: "dst/app:v1", Tags: []string{"v2", "new"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"v2": old.Digest() + " " + img.Digest(), "new": " " + img.Digest()}; !reflect.DeepEqual(held, want) {
		t.Errorf("%v, want %v", held, want)
	}
}

func TestAReportThatIsReadBackIsTheReport(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	rep, err := y.Applied(y.PlanBatch(t.Context(), dray.BatchRequest{Target: "dst", Entries: []dray.BatchEntry{{Source: "src/app:v1"}, {Source: "src/app:gone"}}}, nil))
	if !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	raw, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var back dray.Report
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	for i := range rep.Steps {
		was, is := rep.Steps[i].Err, back.Steps[i].Err
		if (was == nil) != (is == nil) || was != nil && (was.Error() != is.Error() || fault.KindOf(was) != fault.KindOf(is) || fault.HintOf(was) != fault.HintOf(is)) {
			t.Errorf("%v became %v", was, is)
		}
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(raw) {
		t.Errorf("%v\n%s\n%s", err, raw, again)
	}
	n := rep.Steps[0].To
	e := dray.VerifyEntry{From: n, To: n, Match: dray.Unproven, Err: &fault.Fault{Kind: fault.Denied, Side: fault.Target, Op: "read", Hint: "log in"}}
	raw, _ = json.Marshal(e)
	var entry dray.VerifyEntry
	if err := json.Unmarshal(raw, &entry); err != nil || fault.KindOf(entry.Err) != fault.Denied || fault.HintOf(entry.Err) != "log in" {
		t.Errorf("%v %+v", err, entry)
	}
}

func TestWhatARequestWouldTouchIsKnownBeforeAnythingIsAsked(t *testing.T) {
	y := yard.New(t)
	from, to, err := y.TransferEnds(dray.TransferRequest{Sources: []string{"src", "src/team/", "dst/app"}, Target: "dst/mirror/", Also: []string{"src/copy/"}}, nil)
	want := []dray.End{{Host: y.Src.Host}, {Host: y.Src.Host, Prefix: "team/"}}
	if err != nil || !reflect.DeepEqual(from[:2], want) || from[2].Repo.String() != y.Dst.Host+"/app" || len(to) != 2 || to[0] != (dray.End{Host: y.Dst.Host, Prefix: "mirror/"}) {
		t.Errorf("%+v %+v %v", from, to, err)
	}
	source, targets, err := y.ImportNames(dray.ImportRequest{Source: "src/app", Target: "dst", Images: []string{"a", "b:v2"}, Map: plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "v2"}}}})
	if !fault.Is(err, fault.Invalid) { // several tags are requested, but the source names one image
		t.Errorf("%v %v %v", source, targets, err)
	}
	source, targets, err = y.ImportNames(dray.ImportRequest{Source: "src/app:v1", Target: "dst", Images: []string{"a", "b:v2"}})
	if err != nil || source.String() != y.Src.Host+"/app:v1" || len(targets) != 2 || targets[0].String() != y.Dst.Host+"/a:v1" {
		t.Errorf("%v %v %v", source, targets, err)
	}
	if n := y.Src.Requests() + y.Dst.Requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
}
