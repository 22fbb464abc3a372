package apply_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/hostile/world"
	"github.com/drayage/dray/internal/yard"
)

// Whatever goes wrong, each tag of the target names what it named before, or the whole image that it should; no tag is
// set, and no list of referrers names anything, before all below it was proven; no login leaves its host; exit 0 means
// that all is there; the report counts what the registries counted; and when the trouble is over, a second run
// completes the work, and a third one sends nothing.
//
// rapid makes a world that breaks a promise as small as it can, and keeps it in testdata/rapid.
func TestNoTroubleBreaksAPromise(t *testing.T) {
	worlds := "2000"
	switch soak := os.Getenv("DRAY_SOAK"); {
	case soak != "":
		worlds = soak + "00"
	case testing.Short():
		worlds = "50"
	case yard.Small():
		worlds = "150"
	}
	if err := flag.Set("rapid.checks", worlds); err != nil {
		t.Fatal(err)
	}
	first := "" // goroutines run in another order each time, so that rapid cannot repeat every failure
	defer func() {
		if t.Failed() {
			t.Logf("the first world that broke a promise: %s", first)
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		w := world.Draw(rt)
		var broken string
		t.Run("world", func(t *testing.T) { // so that the registries of a world end with it
			h := w.Handlers(t)
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Second) })
				broken = live(t, w.Open(t, h))
			})
		})
		if broken != "" {
			broken = fmt.Sprintf("%+v\n%s", w, broken)
			first = cmp.Or(first, broken)
			rt.Log(broken)
			rt.Fatal("a promise is broken") // rapid makes a world smaller only while this text stays the same
		}
	})
}

func live(t *testing.T, s *world.Stage) string {
	t.Helper()
	process := func() *dray.Dray {
		d, err := dray.New(s.Config())
		if err != nil {
			t.Fatal(fmt.Errorf("new: %w", err))
		}
		return d
	}
	d := process()
	defer func() { d.Close() }()
	return s.Live(func(fresh bool) world.Outcome {
		if fresh {
			d.Close()
			d = process()
		}
		return s.Do(t.Context(), d)
	})
}
