package storm_test

import (
	"testing"
	"testing/synctest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/hostile/storm"
	"github.com/drayage/dray/internal/testbed"
)

func TestASingleFaultIsSurvivedOrNamed(t *testing.T) {
	stage := storm.NewStage(t)
	for _, w := range []storm.Work{storm.Image, storm.Index, storm.Transfer} {
		for i, c := range storm.Cases(stage.Place(w)) {
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
