package apply_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
)

// hubYard has a Docker Hub with a pull limit, another registry and a target, in virtual time.
type hubYard struct {
	*yard.Yard
	limit *beside.PullLimit
	other *testbed.Registry
}

// inHubYard runs test with six images at Docker Hub and four elsewhere, and a plan that copies all
// of them.
func inHubYard(t *testing.T, limit *beside.PullLimit, maxWait time.Duration, test func(h *hubYard, p *dray.Prepared)) {
	t.Helper()
	stores := []http.Handler{testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})}
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		hub := testbed.Serve(t, stores[0], testbed.Options{Wire: testbed.Pipes, Host: "registry-1.docker.io", Front: limit.Front})
		other := testbed.Serve(t, stores[1], testbed.Options{Wire: testbed.Pipes, Host: "127.0.0.1:5001"})
		dst := testbed.Serve(t, stores[2], testbed.Options{Wire: testbed.Pipes, Host: "127.0.0.1:5002"})
		d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}, Limits: dray.Limits{MaxWait: maxWait},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				for _, r := range []*testbed.Registry{hub, other, dst} {
					if strings.TrimSuffix(addr, ":80") == r.Host {
						return r.Dial(ctx, network, addr)
					}
				}
				return nil, fmt.Errorf("no server at %s", addr)
			}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		h := &hubYard{Yard: &yard.Yard{Dray: d, T: t, Src: hub, Dst: dst}, limit: limit, other: other}
		var entries []dray.BatchEntry
		for i := range 6 {
			testbed.Random(t, hub, fmt.Sprintf("library/h%d", i), "v1", testbed.RandomOptions{Seed: uint64(i + 1), Size: 100})
			entries = append(entries, dray.BatchEntry{Source: fmt.Sprintf("docker.io/library/h%d:v1", i), Targets: []string{fmt.Sprintf("127.0.0.1:5002/h%d:v1", i)}})
		}
		for i := range 4 {
			testbed.Random(t, other, fmt.Sprintf("o%d", i), "v1", testbed.RandomOptions{Seed: uint64(i + 20), Size: 100})
			entries = append(entries, dray.BatchEntry{Source: fmt.Sprintf("127.0.0.1:5001/o%d:v1", i), Targets: []string{fmt.Sprintf("127.0.0.1:5002/o%d:latest", i)}})
		}
		p, err := d.PlanBatch(t.Context(), dray.BatchRequest{Entries: entries}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if hub.Count("GET", "") != 0 {
			t.Errorf("planning used pulls:\n%s", hub.Story())
		}
		test(h, p)
	})
}

func TestWhatIsFreeGoesOnWhilePullsAreSpentAndTheRestWaits(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		inHubYard(t, &beside.PullLimit{Limit: 3, Window: 6 * time.Hour, Quiet: quiet}, 7*time.Hour, func(h *hubYard, p *dray.Prepared) {
			begin := time.Now()
			var mu sync.Mutex
			early, told := 0, []string(nil)
			rep, err := h.Apply(h.T.Context(), p, func(e event.Event) {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case e.Kind == event.Finished && time.Since(begin) < time.Minute:
					early++
				case e.Kind == event.Waiting:
					told = append(told, e.Text)
				}
			})
			if h.Must(rep, err); rep.Count(dray.Done) != 10 || early != 7 {
				h.T.Errorf("%s; %d early", yard.States(rep), early)
			}
			if d := time.Since(begin); d < 6*time.Hour || d > 6*time.Hour+10*time.Minute {
				h.T.Errorf("took %v", d)
			}
			if len(told) != 1 || !strings.HasPrefix(told[0], "docker.io: the pull limit is used up until ") {
				h.T.Errorf("events %q", told)
			}
			got := rep.Pulls["docker.io"]
			if got.Spent != 6 || len(rep.Pulls) != 1 {
				h.T.Errorf("%+v", rep.Pulls)
			}
			if !quiet && (got.Left == nil || *got.Left != 0 || got.Limit != 3 || got.Refills == nil) {
				h.T.Errorf("%+v", got)
			}
		})
	}
}

func TestPullsThatAreSpentForTooLongFailTheirOwnStepsOnly(t *testing.T) {
	inHubYard(t, &beside.PullLimit{Limit: 4, Window: 6 * time.Hour}, 0, func(h *hubYard, p *dray.Prepared) {
		begin := time.Now()
		rep, err := h.Apply(h.T.Context(), p, nil)
		if !fault.Is(err, fault.Throttled) || !strings.Contains(err.Error(), "the pull limit is used up until") {
			h.T.Errorf("%v", err)
		}
		if rep.Count(dray.Done) != 8 || rep.Count(dray.Failed) != 2 || time.Since(begin) > time.Minute {
			h.T.Errorf("%s after %v", yard.States(rep), time.Since(begin))
		}
		h.Forget()
		again, err := h.Apply(h.T.Context(), p, nil) // nothing was lost: the rest is tried again
		if !fault.Is(err, fault.Throttled) || again.Count(dray.Failed) != 2 {
			h.T.Errorf("%v %s", err, yard.States(again))
		}
		if h.Src.Count("GET", testbed.Manifest) != 0 {
			h.T.Errorf("finished images were pulled again:\n%s", h.Src.Story())
		}
		time.Sleep(6*time.Hour + time.Minute)
		h.Must(h.Apply(h.T.Context(), p, nil))
	})
}

func TestACallerWhoGivesUpWhilePullsAreSpentLeavesTheRestNotStarted(t *testing.T) {
	inHubYard(t, &beside.PullLimit{Limit: 3, Window: 6 * time.Hour}, 7*time.Hour, func(h *hubYard, p *dray.Prepared) {
		ctx, cancel := context.WithTimeout(h.T.Context(), time.Hour)
		defer cancel()
		rep, err := h.Apply(ctx, p, nil)
		if !fault.Is(err, fault.Canceled) || rep.Count(dray.Done) != 7 || rep.Count(dray.NotStarted) != 3 {
			h.T.Errorf("%v %s", err, yard.States(rep))
		}
	})
}

func TestAnEqualImageAtDockerHubIsNoPull(t *testing.T) {
	inHubYard(t, &beside.PullLimit{Limit: 100, Window: 6 * time.Hour}, 0, func(h *hubYard, p *dray.Prepared) {
		rep := h.Must(h.Apply(h.T.Context(), p, nil))
		if got := rep.Pulls["docker.io"]; got.Spent != 6 || *got.Left != 94 {
			h.T.Errorf("%+v", got)
		}
		used := h.limit.Used()
		for range 2 {
			req := dray.CopyRequest{Source: "h0:v1", Targets: []string{"127.0.0.1:5002/h0:v1"}}
			if rep := h.Must(h.Copy(req)); rep.Count(dray.Unchanged) != 1 || rep.Pulls["docker.io"].Spent != 0 {
				h.T.Errorf("%+v", rep)
			}
		}
		if h.limit.Used() != used {
			h.T.Errorf("%d pulls of an image that is up to date", h.limit.Used()-used)
		}
	})
}
