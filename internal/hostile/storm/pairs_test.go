package storm_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile/storm"
	"github.com/drayage/dray/internal/testbed"
)

// sampled is how many pairs are tried unless DRAY_SOAK is set.
const sampled = 60

// The second fault begins when the first has happened, and both may happen again then. After faults of which
// each is survived, the work ends well.
func TestPairsOfFaultsAreSurvivedOrNamed(t *testing.T) {
	stage := storm.NewStage(t)
	var chosen []int
	for i, c := range storm.Cases(stage.Place(storm.Image)) {
		if c.Pair {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) != 40 {
		t.Fatalf("%d faults are tried in pairs, want 40", len(chosen))
	}
	var pairs [][2]int
	for _, a := range chosen {
		for _, b := range chosen {
			if a != b {
				pairs = append(pairs, [2]int{a, b})
			}
		}
	}
	if os.Getenv("DRAY_SOAK") == "" {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		pairs = pairs[:sampled]
	}
	both := make(chan bool, len(pairs))
	t.Run("pairs", func(t *testing.T) {
		for _, p := range pairs {
			cases := storm.Cases(stage.Place(storm.Image))
			t.Run(cases[p[0]].Name+", then "+cases[p[1]].Name, func(t *testing.T) {
				t.Parallel()
				to := testbed.NewDistribution(t, testbed.Options{Content: testbed.Open})
				synctest.Test(t, func(t *testing.T) {
					cases := storm.Cases(stage.Place(storm.Image))
					both <- pair(t, stage, to, cases[p[0]], cases[p[1]])
				})
			})
		}
	})
	close(both)
	met := 0
	for b := range both {
		if b {
			met++
		}
	}
	t.Logf("in %d of %d pairs, both faults happened", met, len(pairs))
	if met < len(pairs)/3 {
		t.Errorf("only in %d of %d pairs did both faults happen", met, len(pairs))
	}
}

// pair does the work with two faults, and reports whether both happened.
func pair(t *testing.T, stage *storm.Stage, to http.Handler, first, second storm.Case) bool {
	t.Helper()
	for _, f := range second.Faults {
		f.When(func(*http.Request) bool { return first.Fired() })
	}
	w := stage.Open(t, storm.Image, to, first, second)
	d, err := dray.New(w.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	traffic, err := storm.Do(t.Context(), d, storm.Image)
	problems := w.Broken(traffic, err)
	var wanted []fault.Kind
	for _, c := range []storm.Case{first, second} {
		if kind, _ := c.Wants(storm.Image); kind != "" && c.Fired() {
			wanted = append(wanted, kind)
		}
	}
	// A fault that ends the work alone may come too late to do so after another one.
	if got := fault.KindOf(err); got != "" && !slices.Contains(wanted, got) {
		problems = append(problems, fmt.Sprintf("it ended with %q, want one of %q: %v", got, wanted, err))
	}
	for _, p := range problems {
		t.Error(p)
	}
	if len(problems) > 0 {
		t.Logf("source:\n%s\ntarget:\n%s", w.Source.Story(), w.Target.Story())
	}
	met := first.Fired() && second.Fired()
	w.Calm()
	_, err = storm.Do(t.Context(), d, storm.Image)
	w.Complete(err)
	return met
}
