package budget

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server/measure"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
)

// sharing returns the budgets of n processes that share one database. The registry is known to
// allow 50 requests a second.
func sharing(t *testing.T, n int) []*Budgets {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	all := make([]*Budgets, n)
	for i := range all {
		q, err := job.Open(t.Context(), job.Config{DB: db})
		if err != nil {
			t.Fatal(err)
		}
		d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{"reg": {Host: "reg.example", Settings: dray.Settings{RequestsPerSecond: 50}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		all[i] = &Budgets{}
		all[i].Serve(q, d, measure.NewMetrics(q, db))
	}
	return all
}

func TestProcessesOfOneDatabaseShareWhatARegistryAllows(t *testing.T) {
	processes := sharing(t, 3)
	start := time.Now()
	var wg sync.WaitGroup
	const each = 25
	for _, b := range processes {
		for range 5 {
			wg.Go(func() {
				for range each / 5 {
					if err := b.Draw(t.Context(), place.Draw{Host: "reg.example", Identity: "ci", Class: "reads"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	// 75 requests at 50 a second take 1.5 s. Some of them may be sent at once: the burst of a tenth of
	// a second, and what a process has drawn and not used.
	if took := time.Since(start); took < time.Second {
		t.Errorf("75 requests took %v; 50 a second are allowed", took)
	}
	shown := httptest.NewRecorder()
	processes[0].metrics.Handler().ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if n := strings.Count(shown.Body.String(), "\ndray_budget_requests{"); n != 1 {
		t.Error(n)
	}
	// Another login and another registry have their own budgets.
	for _, d := range []place.Draw{{Host: "reg.example", Identity: "other", Class: "writes"}, {Host: "free.example", Identity: "ci", Class: "reads"}} {
		if err := processes[0].Draw(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
}

func TestAWaitForABudgetEndsWithItsRequest(t *testing.T) {
	b := sharing(t, 1)[0]
	of := place.Draw{Host: "reg.example", Identity: "ci", Class: "reads"}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for {
			if err := b.Draw(ctx, of); err != nil {
				ended <- err
				return
			}
		}
	}()
	cancel()
	if err := <-ended; !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
}

func TestWhichBucketsARequestTakesFrom(t *testing.T) {
	for _, c := range []struct {
		bucket, request string
		want            bool
	}{
		{"requests", "reads", true}, {"requests", "manifests", true}, {"reads", "reads", true}, {"reads", "writes", false},
		{"writes", "writes", true}, {"writes", "manifests", true}, {"manifests", "writes", false}, {"manifests", "manifests", true},
	} {
		if got := counts(c.bucket, c.request); got != c.want {
			t.Errorf("%s from %s: %t", c.request, c.bucket, got)
		}
	}
}
