package budget

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	db := openDatabase(t)
	all := make([]*Budgets, n)
	for i := range all {
		all[i] = process(t, db, 50, nil)
	}
	return all
}

func openDatabase(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// process returns the budgets of one process. The registry is known to allow so many requests a second.
func process(t *testing.T, db *store.DB, perSecond float64, clock func() time.Time) *Budgets {
	t.Helper()
	q, err := job.Open(t.Context(), job.Config{DB: db, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{"reg": {Host: "reg.example", Settings: dray.Settings{RequestsPerSecond: perSecond}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	b := &Budgets{}
	b.Serve(q, d, measure.NewMetrics(q, db))
	return b
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

// The clock of the database stands still until the test sets it, so what a draw gets does not depend on the machine.
func TestManyRequestsShareOneDraw(t *testing.T) {
	var at atomic.Int64
	at.Store(time.Now().UnixMicro())
	db := openDatabase(t)
	const burst, rate = 100, 1000
	b := process(t, db, rate, func() time.Time { return time.UnixMicro(at.Load()) })
	for _, s := range []string{`CREATE TABLE draws (good INTEGER)`, `CREATE TRIGGER drawn AFTER UPDATE ON budgets
		BEGIN INSERT INTO draws VALUES (NEW.tokens < OLD.tokens OR NEW.refilled > OLD.refilled); END`} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	draws := func() (all, good int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), `SELECT count(*), coalesce(sum(good), 0) FROM draws`).Scan(&all, &good); err != nil {
			t.Fatal(err)
		}
		return all, good
	}
	of := place.Draw{Host: "reg.example", Identity: "ci", Class: "reads"}
	var requests sync.WaitGroup
	send := func(n int) {
		for range n {
			requests.Go(func() {
				if err := b.Draw(t.Context(), of); err != nil {
					t.Error(err)
				}
			})
		}
	}
	send(burst)
	requests.Wait()
	if all, good := draws(); all != 1 || good != 1 {
		t.Errorf("%d requests that are allowed at once cost %d draws", burst, all)
	}
	send(burst)
	h := b.of(place.Draw{Host: of.Host, Identity: of.Identity, Class: allRequests})
	for b.change(h, 0, 0) < burst {
		time.Sleep(time.Millisecond)
	}
	// One of them looks for what all need, and does so when there can be as much.
	began := time.Now()
	before, _ := draws()
	all := before
	for all < before+5 {
		time.Sleep(time.Millisecond)
		all, _ = draws()
	}
	if looks := int(time.Since(began)*rate/burst/time.Second) + 2; all-before > looks {
		t.Errorf("%d requests that wait cost %d draws in %s", burst, all-before, time.Since(began))
	}
	at.Add(time.Second.Microseconds())
	requests.Wait()
	if _, good := draws(); good != 2 {
		t.Errorf("%d requests took from the budget %d times", 2*burst, good)
	}
}

// While the database does not answer, requests are sent: the registry refuses what is too much.
func TestRequestsDoNotWaitForADatabaseThatDoesNotAnswer(t *testing.T) {
	db := openDatabase(t)
	b := process(t, db, 50, nil)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var requests sync.WaitGroup
	for range 200 { // a draw that works takes four seconds for them
		requests.Go(func() {
			if err := b.Draw(t.Context(), place.Draw{Host: "reg.example", Identity: "ci", Class: "reads"}); err != nil {
				t.Error(err)
			}
		})
	}
	requests.Wait()
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
