package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
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

// A registry without the referrers API lists what refers to an image under a tag, which is one more that is set.
func TestTheGuardIsAskedForTheTagThatListsReferrers(t *testing.T) {
	y := yard.Of(t, testbed.Sloppy(t, testbed.Options{Referrers: testbed.WithReferrers}), testbed.Distribution(t, testbed.Options{}))
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", img.Root)
	list := oci.FallbackTag(img.Root.Digest)
	var asked []plan.Step // the targets are one repository, and its list is changed by one at a time
	refusal := error(nil)
	d := y.For(place.Job{Guard: func(_ context.Context, steps []plan.Step) error {
		if steps[0].To.Tag != list {
			return nil
		}
		asked = append(asked, steps...)
		return refusal
	}})
	copied := func(tag string) dray.Report {
		p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:" + tag}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rep, err := d.Apply(t.Context(), p, nil) // with the guard of who applies the plan
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	copied("v1")
	first := testbed.CraneDigest(t, y.Dst, "app", list)
	if len(asked) != 1 || asked[0].To.Path != "app" || asked[0].Replaces != "" || string(asked[0].Digest()) != first {
		t.Errorf("%+v, the list is %s", asked, first)
	}
	testbed.Artifact(t, y.Src, "app", "second", img.Root)
	asked, refusal = nil, &fault.Fault{Kind: fault.Conflict, Op: "announce", Name: list, Err: errors.New("not today")}
	rep := copied("v2")
	if len(asked) != 2 || string(asked[0].Replaces) != first || asked[0].Digest() == asked[0].Replaces { // sent again after its image
		t.Errorf("%+v, the list was %s", asked, first)
	}
	if got := rep.Steps[0].Referrers; got.Refused != 1 || !strings.Contains(got.Lost[0].Why, "not today") || strings.Contains(got.Lost[0].Why, "takes its place") {
		t.Errorf("%+v", got)
	}
	if now := testbed.CraneDigest(t, y.Dst, "app", list); now != first {
		t.Errorf("the list was changed to %s", now)
	}
}
