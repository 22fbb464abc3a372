package remote_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// hub runs test in virtual time at a docker.io with a pull limit. Its repository app has the tags
// v0 to v9.
func hub(t *testing.T, p *beside.PullLimit, maxWait time.Duration, test func(b *bench, digests []string)) {
	t.Helper()
	bubble(t, nil, func(b *bench) {
		var digests []string
		for i := range 10 {
			digests = append(digests, string(testbed.Random(b, b.r, "app", fmt.Sprintf("v%d", i), testbed.RandomOptions{Seed: uint64(i + 1), Size: 100}).Root.Digest))
		}
		b.repo = b.client.Open(ref.Repo{Host: ref.DockerHub, Path: "app"}, remote.Use{Observe: b.events.watch()})
		test(b, digests)
	}, func(s *testbed.Options, o *remote.Options) { s.Front, o.MaxWait = p.Front, maxWait })
}

func (b *bench) budget() remote.Budget {
	b.Helper()
	got, ok := b.client.Budget("docker.io")
	if !ok {
		b.Fatal("nothing is known of the budget")
	}
	return got
}

func TestPullsAreReadAndCountedAndHeadsAreFree(t *testing.T) {
	hub(t, &beside.PullLimit{Limit: 100, Window: 6 * time.Hour}, 0, func(b *bench, digests []string) {
		if _, ok := b.client.Budget("docker.io"); ok {
			b.Error("a budget is known before the first request")
		}
		begin := time.Now()
		_, err := b.repo.Resolve(b.Context(), "v0")
		must(b, err)
		if got := b.budget(); got.Limit != 100 || got.Remaining != 100 || got.SpentHere != 0 || got.Window != 6*time.Hour || !got.Resets.IsZero() {
			b.Errorf("%+v", got)
		}
		for range 3 { // by tag it is read each time, by digest from the cache
			_, err = b.repo.Document(b.Context(), "v1")
			must(b, err)
			_, err = b.repo.Document(b.Context(), digests[1])
			must(b, err)
		}
		if got := b.budget(); got.Remaining != 97 || got.SpentHere != 3 || got.Resets.Sub(begin).Round(time.Minute) != 6*time.Hour || got.Spent() {
			b.Errorf("%+v", got)
		}
		if _, ok := b.client.Budget("quay.io"); ok {
			b.Error("quay.io has no pull limit")
		}
	})
}

func TestSpentPullsWaitForTheWindowWhileTheRestGoesOn(t *testing.T) {
	for name, p := range map[string]*beside.PullLimit{
		"told by headers": {Limit: 2, Window: 6 * time.Hour}, "told by the 429": {Limit: 2, Window: 6 * time.Hour, Quiet: true},
	} {
		t.Run(name, func(t *testing.T) {
			hub(t, p, 7*time.Hour, func(b *bench, digests []string) {
				begin := time.Now()
				var wg sync.WaitGroup
				for i := range 4 {
					wg.Go(func() {
						_, err := b.repo.Document(b.Context(), digests[i])
						must(b, err)
					})
				}
				time.Sleep(time.Minute)
				for i := range 10 {
					_, err := b.repo.Resolve(b.Context(), fmt.Sprintf("v%d", i))
					must(b, err)
				}
				if d := time.Since(begin); d != time.Minute {
					b.Errorf("the HEAD requests waited %v", d-time.Minute)
				}
				if got := b.budget(); !got.Spent() || got.SpentHere != 2 || got.Resets.Sub(begin) < 5*time.Hour {
					b.Errorf("%+v", got)
				}
				wg.Wait()
				if d := time.Since(begin); d < 6*time.Hour || d > 6*time.Hour+10*time.Minute {
					b.Errorf("took %v", d)
				}
				w := b.events.of(event.Waiting)
				if len(w) != 1 || !strings.HasPrefix(w[0].Text, "docker.io: the pull limit is used up until ") {
					b.Errorf("reported %v", w)
				}
				if got := b.budget(); got.SpentHere != 4 {
					b.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestPullsThatComeBackEarlierAreUsedThen(t *testing.T) {
	p := &beside.PullLimit{Limit: 1, Window: 6 * time.Hour}
	hub(t, p, 7*time.Hour, func(b *bench, digests []string) {
		_, err := b.repo.Document(b.Context(), digests[0])
		must(b, err)
		begin := time.Now()
		go func() {
			time.Sleep(time.Hour)
			p.Refill()
		}()
		_, err = b.repo.Document(b.Context(), digests[1])
		must(b, err)
		if d := time.Since(begin); d < time.Hour || d > time.Hour+10*time.Minute {
			b.Errorf("took %v", d)
		}
	})
}

func TestAWaitForPullsBeyondTheLongestFailsThatRequestOnly(t *testing.T) {
	hub(t, &beside.PullLimit{Limit: 1, Window: 6 * time.Hour}, 10*time.Minute, func(b *bench, digests []string) {
		_, err := b.repo.Document(b.Context(), digests[0])
		must(b, err)
		begin := time.Now()
		_, err = b.repo.Document(b.Context(), digests[1])
		wantKind(b, err, fault.Throttled)
		until, is := remote.SpentUntil(err)
		if !is || until.Sub(begin).Round(time.Minute) != 6*time.Hour || time.Since(begin) != 0 || !strings.Contains(err.Error(), "until ") {
			b.Errorf("%v", err)
		}
		_, err = b.repo.Resolve(b.Context(), "v3")
		must(b, err)
		_, err = b.repo.Document(b.Context(), digests[0]) // it was read before, so it is in the cache
		must(b, err)
		time.Sleep(6*time.Hour + time.Minute)
		_, err = b.repo.Document(b.Context(), digests[1])
		must(b, err)
	})
}

func TestACallerThatYieldsDoesNotWaitForPulls(t *testing.T) {
	hub(t, &beside.PullLimit{Limit: 0, Window: time.Hour}, 2*time.Hour, func(b *bench, digests []string) {
		r := b.client.Open(ref.Repo{Host: ref.DockerHub, Path: "app"}, remote.Use{Yield: func() bool { return true }})
		begin := time.Now()
		_, err := r.Document(b.Context(), digests[0])
		if _, is := remote.SpentUntil(err); !is || time.Since(begin) != 0 {
			b.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestThePlain429OfDockerHubIsOrdinaryBackOff(t *testing.T) {
	n := 0
	hub(t, &beside.PullLimit{Limit: 100, Window: time.Hour}, time.Minute, func(b *bench, digests []string) {
		b.repo = b.client.Open(ref.Repo{Host: ref.DockerHub, Path: "app"}, remote.Use{Observe: b.events.watch()})
		_, err := b.repo.Document(b.Context(), digests[0])
		must(b, err)
		if got := b.budget(); got.Spent() || n != 0 {
			b.Errorf("%+v", got)
		}
	})
	flood := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if n++; n <= 2 && req.Method == http.MethodGet {
				w.WriteHeader(http.StatusTooManyRequests)
				fmt.Fprint(w, "Too Many Requests")
				return
			}
			next.ServeHTTP(w, req)
		})
	}
	bubble(t, nil, func(b *bench) {
		d := b.another("v1")
		r := b.client.Open(ref.Repo{Host: ref.DockerHub, Path: "app"}, remote.Use{Observe: b.events.watch()})
		begin := time.Now()
		_, err := r.Document(b.Context(), string(d.Digest))
		must(b, err)
		if time.Since(begin) > 10*time.Second || len(b.events.of(event.Retried)) != 2 {
			b.Errorf("took %v with %d retries", time.Since(begin), len(b.events.of(event.Retried)))
		}
	}, func(s *testbed.Options, _ *remote.Options) { s.Front = flood })
}

func TestOddCountsOfPullsAreLeftAlone(t *testing.T) {
	for _, value := range []string{"", "many", "-1;w=21600", "7;w=soon", ";w=1", "99999999999999999999", "7;w=99999999999"} {
		odd := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Ratelimit-Limit", value)
				w.Header().Set("Ratelimit-Remaining", value)
				next.ServeHTTP(w, req)
			})
		}
		bubble(t, nil, func(b *bench) {
			var last oci.Document
			b.another("v1")
			r := b.client.Open(ref.Repo{Host: ref.DockerHub, Path: "app"}, remote.Use{})
			for range 3 {
				doc, err := r.Document(b.Context(), "v1")
				must(b, err)
				last = doc
			}
			if got := b.budget(); got.Spent() || got.SpentHere != 3 || last.Digest == "" {
				b.Errorf("%q: %+v", value, got)
			}
		}, func(s *testbed.Options, _ *remote.Options) { s.Front = odd })
	}
}
