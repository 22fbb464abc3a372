package shared_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/server/shared"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed/database"
)

var databases database.Databases //nolint:gochecknoglobals // TestMain stops its server

func TestMain(m *testing.M) { os.Exit(databases.Main(m)) }

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func guard(t *testing.T, db *store.DB) *shared.Guard {
	t.Helper()
	g := shared.Open(db, "bucket", slog.New(slog.DiscardHandler))
	t.Cleanup(g.Close)
	return g
}

// mayWrite begins a change within a time, and fails the test if that cannot be done.
func mayWrite(t *testing.T, g *shared.Guard, within time.Duration) (done func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	done, err := g.Write(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func mayNotWrite(t *testing.T, g *shared.Guard) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := g.Write(ctx); !fault.Is(err, fault.Throttled) || fault.HintOf(err) == "" {
		t.Fatalf("a change was not refused: %v", err)
	}
}

const soon = 10 * time.Second

func TestACollectorWaitsForChangesAndChangesWaitForIt(t *testing.T) {
	url := databases.Postgres(t)
	one, two := guard(t, open(t, url)), guard(t, open(t, url))
	db := open(t, url)
	done := mayWrite(t, one, soon)
	mayWrite(t, two, soon)()

	type result struct {
		alone   context.Context
		release func()
		err     error
	}
	got := make(chan result, 1)
	go func() {
		alone, release, err := shared.Alone(t.Context(), db, "bucket", time.Minute)
		got <- result{alone, release, err}
	}()
	time.Sleep(time.Second) // now both servers know of the collector
	mayNotWrite(t, one)
	mayNotWrite(t, two)
	if _, _, err := shared.Alone(t.Context(), db, "bucket", time.Second); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "another gc") {
		t.Errorf("a second collector: %v", err)
	}
	_, releaseOther, err := shared.Alone(t.Context(), db, "another bucket", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	releaseOther()
	select {
	case r := <-got:
		t.Fatalf("it did not wait for the change in progress: %v", r.err)
	default:
	}
	done()
	r := <-got
	if r.err != nil {
		t.Fatal(r.err)
	}
	mayNotWrite(t, one)
	late := guard(t, open(t, url)) // starts while a collector is at work
	mayNotWrite(t, late)
	if r.alone.Err() != nil {
		t.Error(r.alone.Err())
	}
	r.release()
	for _, g := range []*shared.Guard{one, two, late} {
		mayWrite(t, g, soon)()
	}
}

func TestACollectorRefusesWhileAServerStandsStill(t *testing.T) {
	url := databases.Postgres(t)
	mayWrite(t, guard(t, open(t, url)), soon) // never ends
	db := open(t, url)
	_, _, err := shared.Alone(t.Context(), db, "bucket", time.Second)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "a server still changes content") {
		t.Fatal(err)
	}
}

func TestALostConnectionStopsTheCollectorAndPausesAServer(t *testing.T) {
	url := databases.Postgres(t)
	db := open(t, url)
	// The connections of the test itself do not hold locks.
	cut := func() {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
	}
	g := guard(t, open(t, url))
	mayWrite(t, g, soon)()
	cut()
	mayWrite(t, g, soon)()
	alone, release, err := shared.Alone(t.Context(), open(t, url), "bucket", soon)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	cut()
	select {
	case <-alone.Done():
	case <-time.After(soon):
		t.Fatal("it does not notice that its locks are lost")
	}
	if cause := context.Cause(alone); errors.Is(cause, context.Canceled) || !fault.Is(cause, fault.Unavailable) {
		t.Error(cause)
	}
	mayWrite(t, g, soon)()
}
