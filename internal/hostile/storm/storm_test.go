package storm_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/hostile/storm"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

func TestTheTableHasMoreThanTwoHundredFaultsAndEachCanHappen(t *testing.T) {
	works := []storm.Work{storm.Image, storm.Index, storm.Transfer, storm.Job}
	seen := map[string]bool{}
	for _, c := range storm.Cases(storm.Place{}) {
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		if !slices.ContainsFunc(works, c.Meets) {
			t.Errorf("%s happens in no work", c.Name)
		}
	}
	if len(seen) <= 200 {
		t.Errorf("%d faults", len(seen))
	}
}

func TestASingleFaultIsSurvivedOrNamed(t *testing.T) {
	t.Parallel()
	stage := storm.NewStage(t)
	for _, w := range []storm.Work{storm.Image, storm.Index, storm.Transfer} {
		for i, c := range storm.Cases(stage.Place(w)) {
			if yard.Small() && i%2 == 1 {
				continue // make whole tries all of them without the race detector
			}
			t.Run(string(w)+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				target := testbed.NewDistribution(t, testbed.Options{Content: testbed.Open})
				synctest.Test(t, func(t *testing.T) { single(t, stage.Open(t, w, target, storm.Cases(stage.Place(w))[i])) })
			})
		}
	}
}

// single does the work while the fault is there, and again when it is over.
func single(t *testing.T, w *storm.World) {
	t.Helper()
	d, err := dray.New(w.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	traffic, err := storm.Do(t.Context(), d, w.Work)
	w.Judge(traffic, err)
	w.Calm()
	_, err = storm.Do(t.Context(), d, w.Work)
	w.Complete(err)
}
