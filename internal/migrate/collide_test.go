package migrate_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestARuleThatMakesOneNameOfTwoIsAnErrorBeforeAnythingMoves(t *testing.T) {
	y := yard.New(t)
	y.Tagged("other", "v1")
	testbed.Random(t, y.Src, "a/b", "v1", testbed.RandomOptions{Seed: 5})
	testbed.Random(t, y.Src, "a-b", "v1", testbed.RandomOptions{Seed: 5}) // the same image, which is no collision
	flat := yard.Whole()
	flat.Mapping = plan.Mapping{Flatten: true}
	if got, err := y.Planned(flat); got != "copy a-b:v1, copy other:v1" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	testbed.Random(t, y.Src, "a-b", "v1", testbed.RandomOptions{Seed: 6})
	y.Forget()
	got, _, err := y.Transferred(flat)
	if got != "" || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), y.Src.Host+"/a-b:v1 and "+y.Src.Host+"/a/b:v1 both become "+y.Dst.Host+"/a-b:v1") || y.Dst.Requests() != 0 {
		t.Errorf("%s %v\n%s", got, err, y.Dst.Story())
	}
	flat.Prefer = []string{"src/a/b"}
	if got, err := y.Planned(flat); got != "copy a-b:v1, copy other:v1" || err != nil {
		t.Errorf("with an order: %s %v", got, err)
	}
	flat.Map = plan.TagMap{Pairs: []plan.Pair{{From: "none", To: "one"}}} // with a map, all names are checked
	if got, err := y.Planned(flat); got != "copy a-b:v1, copy other:v1" || err != nil {
		t.Errorf("with an order and a map: %s %v", got, err)
	}
	flat.Map = plan.TagMap{}
	flat.Prefer = nil
	flat.Selection.ExcludeRepositories, _ = plan.ParsePatterns("a/b")
	if got, err := y.Planned(flat); got != "copy a-b:v1, copy other:v1" || err != nil {
		t.Errorf("with one source left out: %s %v", got, err)
	}

	y = yard.New(t)
	y.Tagged("app", "v1", "v2", "latest")
	renamed := yard.Whole()
	rename, err := plan.ParseSubstitution("s/^v.*/one/")
	if err != nil {
		t.Fatal(err)
	}
	renamed.Map = plan.TagMap{Rename: plan.Renames{rename}}
	y.Forget()
	if got, _, err := y.Transferred(renamed); got != "" || !fault.Is(err, fault.Invalid) || y.Dst.Requests() != 0 {
		t.Errorf("%s %v", got, err)
	}
	renamed.Selection.ExcludeTags, _ = plan.ParsePatterns("v2")
	if got, _, err := y.Transferred(renamed); got != "app:latest done, app:one done" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestSourcesThatDifferAreNoMistakeOfARule(t *testing.T) {
	other := testbed.Distribution(t, testbed.Options{})
	y := yard.New(t)
	d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	y.Dray = d
	y.Tagged("app", "v1", "v2")
	testbed.Random(t, other, "app", "v1", testbed.RandomOptions{Seed: 30})
	req := dray.TransferRequest{Sources: []string{y.Src.Host, other.Host}, Target: y.Dst.Host, Map: plan.TagMap{Pairs: []plan.Pair{{From: "v2", To: "two"}}}}
	if got, _, err := y.Transferred(req); got != "app:two done, app:v1 failed" || !fault.Is(err, fault.Conflict) {
		t.Errorf("%s %v", got, err)
	}
}
