package migrate_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// For any state of both sides and any request: equal states give equal plans, byte for byte, and
// after a plan was applied, the next plan has nothing to do.
func TestPlansAreDeterministicAndCarriedOutLeaveNothingToDo(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(round)))
			y, src, dst := azureYard(t, nil)
			req := randomState(rng, y, src, dst)
			file := y.Written(req)
			if again := y.Written(req); !bytes.Equal(file, again) {
				t.Fatalf("two plans of the same state differ:\n%s\n%s", file, again)
			}
			var got string
			var err error
			if rng.IntN(2) == 0 {
				got, _, err = y.FromFile(file, false)
			} else {
				got, _, err = y.Transferred(req)
			}
			if err != nil || strings.Contains(got, "failed") {
				t.Fatalf("%s %v\n%s", got, err, file)
			}
			last := y.Written(req)
			steps, whole := strings.CutSuffix(string(last), "\n"+plan.End+"\n")
			if !whole {
				t.Fatalf("%s", last)
			}
			for _, line := range strings.Split(steps, "\n")[1:] {
				if !strings.HasPrefix(line, `{"action":"skip"`) || strings.Contains(line, `"locks"`) || strings.Contains(line, `"backup"`) {
					t.Errorf("still to do: %s\nafter the plan\n%s", line, file)
				}
			}
			req.Heal = true
			if got, sum, err := y.Transferred(req); got != "" || err != nil || sum.Unproven != 0 {
				t.Errorf("%s %v %+v", got, err, sum)
			}
		})
	}
}

// randomState fills team/app at both sides, and returns a random request.
func randomState(rng *rand.Rand, y *yard.Yard, src, dst *beside.Shelf) dray.TransferRequest {
	var running []string
	for i := range 6 {
		tag := fmt.Sprintf("v%d", i)
		img := testbed.Random(y.T, y.Src, "team/app", tag, testbed.RandomOptions{Seed: uint64(1 + rng.IntN(4)), Size: 100})
		if rng.IntN(2) == 0 {
			running = append(running, y.Src.Host+"/team/app@"+img.Digest())
		}
		switch rng.IntN(3) {
		case 0:
			testbed.Random(y.T, y.Dst, "team/app", tag, testbed.RandomOptions{Seed: uint64(1 + rng.IntN(8)), Size: 100})
		case 1:
			src.Lock(tag, "deleteEnabled", false)
		}
		if rng.IntN(4) == 0 {
			dst.Lock(tag, "deleteEnabled", false)
		}
	}
	// An image that is in use, and whose tag has moved.
	img := testbed.Random(y.T, y.Src, "team/app", "v0", testbed.RandomOptions{Seed: 50, Size: 100})
	testbed.Random(y.T, y.Src, "team/app", "v0", testbed.RandomOptions{Seed: 51, Size: 100})
	req := dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst", CopyLocks: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		req.Backup = plan.Backup{Template: "{tag}-{digest12}-{date}", Date: "20260301"}
	}
	if rng.IntN(2) == 0 {
		running = append(running, y.Src.Host+"/team/app@"+img.Digest())
		used, err := plan.ParseInUse([]byte(strings.Join(running, "\n")))
		if err != nil {
			y.T.Fatal(err)
		}
		req.InUse = used
	}
	req.Selection.Untagged = rng.IntN(2) == 0
	return req
}
