package own_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

func TestTheIDOfADirectoryStays(t *testing.T) {
	dir := t.TempDir()
	if id, err := own.Read(dir); id != "" || err != nil {
		t.Fatalf("%q %v", id, err)
	}
	id, err := own.ID(dir)
	if err != nil || pool.Name(id) != nil {
		t.Fatalf("%q %v", id, err)
	}
	if again, err := own.ID(dir); again != id || err != nil {
		t.Errorf("%q became %q, %v", id, again, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files %v", left)
	}
}

func TestAFileWithoutAnIDIsNamedWithItsCauseAndANextStep(t *testing.T) {
	for name, c := range map[string]struct {
		make func(file string) error
		want string
	}{
		"empty":     {func(f string) error { return os.WriteFile(f, []byte(" \n"), 0o600) }, "the file is empty"},
		"garbage":   {func(f string) error { return os.WriteFile(f, []byte{0, 1, 0xff}, 0o600) }, "the file does not hold an id"},
		"directory": {func(f string) error { return os.Mkdir(f, 0o700) }, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, own.File)
			if err := c.make(file); err != nil {
				t.Fatal(err)
			}
			_, err := own.ID(dir)
			if !fault.Is(err, fault.Invalid) || err.Error() != "read storage id "+file+": invalid: "+c.want {
				t.Error(err)
			}
			if hint := fault.HintOf(err); !strings.Contains(hint, "dray workers") || !strings.Contains(hint, "or remove what is there") {
				t.Error(hint)
			}
		})
	}
}

func TestADirectoryThatCannotBeWrittenIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	_, err := own.ID(dir)
	if want := "write storage id " + filepath.Join(dir, own.File) + ": "; err == nil || !strings.HasPrefix(err.Error(), want) || fault.HintOf(err) == "" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

// servers opens the queues of n servers with one storage id.
func servers(t *testing.T, n int) (*store.DB, []own.Sole) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	all := make([]own.Sole, n)
	for i := range all {
		q, err := job.Open(t.Context(), job.Config{DB: db, Kind: "server", Owner: "host", Pools: []string{pool.Default, pool.Own("x")}})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = own.Sole{Queue: q, Pool: pool.Own("x"), Dir: "/data"}
	}
	return db, all
}

// works lets a server say that it is alive, until the end of the test or until stop is called.
func works(t *testing.T, s own.Sole) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Queue.Work(ctx, 0, nil) }()
	stop = func() {
		if cancel(); ended != nil {
			if err := <-ended; err != nil {
				t.Error(err)
			}
			ended = nil
		}
	}
	t.Cleanup(stop)
	for all := []job.Worker(nil); len(all) == 0; {
		time.Sleep(10 * time.Millisecond)
		var err error
		if all, err = s.Queue.Workers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return stop
}

func TestACopyOfADirectoryDoesNotServeBesideIt(t *testing.T) {
	_, all := servers(t, 2)
	if err := all[0].Before(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := works(t, all[0])
	err := all[1].Before(t.Context())
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), all[0].Queue.Owner()) || !strings.Contains(fault.HintOf(err), own.File) {
		t.Fatalf("%v (hint: %s)", err, fault.HintOf(err))
	}
	stop()
	if err := all[1].Before(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOneOfTwoServersThatBeganAtTheSameTimeStops(t *testing.T) {
	_, all := servers(t, 2)
	works(t, all[0])
	works(t, all[1])
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	if err := all[1].While(ctx); !fault.Is(err, fault.Conflict) {
		t.Errorf("the second: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := all[0].While(ctx); err != nil {
		t.Errorf("the first: %v", err)
	}
}

func TestAServerThatDiedAMomentAgoDelaysItsNextStartOnlyShortly(t *testing.T) {
	db, all := servers(t, 1)
	now := store.Micros(time.Now())
	if _, err := db.ExecContext(t.Context(), `INSERT INTO workers (id, name, kind, pools, slots, running, version, started, seen)
		VALUES ('host/dead', 'host', 'server', 'default own-x', 4, 0, '', $1, $1)`, now); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := all[0].Before(t.Context()); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	works(t, all[0])
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := all[0].While(ctx); err != nil {
		t.Error(err)
	}
}

func TestServersOfOneBucketAndWorkersAreNotLookedAt(t *testing.T) {
	if err := (own.Sole{}).Before(t.Context()); err != nil {
		t.Error(err)
	}
	if err := (own.Sole{}).While(t.Context()); err != nil {
		t.Error(err)
	}
}
