package apply_test

import (
	"context"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// The source may be so slow that the tag is created by somebody else meanwhile. A caller that may
// only create tags must not move it then.
func TestANameThatSomebodyMadeMeanwhileIsTheirs(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	asked := map[string]int{}
	d := y.For(place.Job{Guard: func(_ context.Context, steps []plan.Step) error {
		for _, s := range steps {
			asked[s.To.Tag]++
		}
		return nil
	}})
	p, err := d.PlanImport(t.Context(), dray.ImportRequest{Source: "src/app:v1", Images: []string{"dst/app:v1", "dst/app:v2"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 51}) // created after the plan and before its names are set
	rep, _ := d.Apply(t.Context(), p, nil)
	if rep.Count(dray.Failed) != 1 || rep.Count(dray.Done) != 1 {
		t.Errorf("%v", yard.States(rep))
	}
	if got := testbed.CraneDigest(t, y.Dst, "app", "v1"); got != theirs.Digest() {
		t.Errorf("v1 was moved to %s", got)
	}
	if len(asked) != 1 || asked["v2"] != 1 {
		t.Errorf("the guard was asked for %v", asked)
	}
	// An image that an interrupted attempt already copied is not a conflict.
	if rep, err := d.Apply(t.Context(), p, nil); rep.Count(dray.Failed) != 1 || rep.Count(dray.Done)+rep.Count(dray.Unchanged) != 1 {
		t.Errorf("%v %v", yard.States(rep), err)
	}
}

func TestAnEntryOfAListOverwritesAsItSaysUntilItsNameIsSet(t *testing.T) {
	for _, c := range []struct{ Whole, theirs, ours plan.Overwrite }{
		{plan.Update, plan.Refuse, ""},
		{plan.Refuse, "", plan.Update},
	} {
		y := yard.New(t)
		y.Tagged("app", "v1")
		d := y.For(place.Job{Guard: func(context.Context, []plan.Step) error { return nil }})
		p, err := d.PlanBatch(t.Context(), dray.BatchRequest{Target: "dst", Overwrite: c.Whole, Entries: []dray.BatchEntry{
			{Source: "src/app:v1", Targets: []string{"theirs:v1"}, Overwrite: c.theirs},
			{Source: "src/app:v1", Targets: []string{"ours:v1"}, Overwrite: c.ours},
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		theirs := testbed.Random(t, y.Dst, "theirs", "v1", testbed.RandomOptions{Seed: 51}) // created after the plan and before its names are set
		testbed.Random(t, y.Dst, "ours", "v1", testbed.RandomOptions{Seed: 51})
		rep, err := d.Apply(t.Context(), p, nil)
		if got := yard.States(rep); !fault.Is(err, fault.Conflict) || !strings.Contains(got, "theirs:v1 failed") || !strings.Contains(got, "ours:v1 done") {
			t.Errorf("%+v: %v %s", c, err, got)
		}
		if got := testbed.CraneDigest(t, y.Dst, "theirs", "v1"); got != theirs.Digest() {
			t.Errorf("%+v: it was moved to %s", c, got)
		}
		testbed.Same(t, y.Src, y.Dst, "app", "v1", "ours", "v1")
	}
}
