package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
)

// Bed is what the tests run on.
type Bed struct {
	// Open returns a Queue with the engine on a new, empty database. The test sets neither DB nor Engine. Both
	// are closed when the test ends.
	Open func(t *testing.T, c job.Config) (*job.Queue, *store.DB)
	// Beside returns a Queue as of another process, on the database of one that Open returned. It is nil if
	// the engine has one process.
	Beside  func(t *testing.T, db *store.DB, c job.Config) *job.Queue
	Divides bool // whether the engine calls Split, Part and Sum
	// Parallel runs the tests at the same time, for an engine with which they mostly wait.
	Parallel bool
	Brief    bool // leaves out the test that takes a minute
	// Unfair is how many jobs of a principal with many may start before the first one of another, beyond
	// those in slots that are already taken; the embedded engine has 0. It is at most 20. With -1 the test is
	// skipped.
	Unfair int
}

// Submit submits a job. Kind, Principal and Request have defaults.
func Submit(tb testing.TB, q *job.Queue, s job.Submission) job.Job {
	tb.Helper()
	if s.Kind == "" {
		s.Kind = "test"
	}
	if s.Principal == "" {
		s.Principal = "ann"
	}
	if s.Request == nil {
		s.Request = json.RawMessage(`{}`)
	}
	j, _, err := q.Submit(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

// Work runs q.Work until the returned function is called or the test ends.
func Work(tb testing.TB, q *job.Queue, slots int, run job.Runner) (stop func()) {
	tb.Helper()
	ctx, done := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- q.Work(ctx, slots, run) }()
	stop = sync.OnceFunc(func() {
		done()
		if err := <-over; err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// Ended watches a job until it has ended and returns it.
func Ended(tb testing.TB, q *job.Queue, id string) job.Job {
	tb.Helper()
	for e, err := range q.Watch(tb.Context(), id, 0) {
		if err != nil {
			tb.Fatal(err)
		}
		if e.Kind == "ended" {
			var j job.Job
			if err := json.Unmarshal(e.Data, &j); err != nil {
				tb.Fatal(err)
			}
			return j
		}
	}
	tb.Fatal("the watch ended before the job")
	return job.Job{}
}

func get(t *testing.T, q *job.Queue, id string) job.Job {
	t.Helper()
	j, err := q.Get(t.Context(), id)
	must(t, err)
	return j
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *store.DB, query string) int {
	t.Helper()
	var n int
	must(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

// ends notes the runs that have ended, for Config.Ended.
type ends struct {
	mu  sync.Mutex
	all []string
}

func (e *ends) note(j job.Job, state job.State, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	said := j.ID + " " + string(state)
	if took <= 0 {
		said += " in no time"
	}
	e.all = append(e.all, said)
}

// reversed is a Sealer for tests. It binds a secret to its name and inverts its bytes.
type reversed struct{}

func (reversed) Seal(plain []byte, name string) ([]byte, error) {
	return append([]byte(name+"\x00"), flip(plain)...), nil
}

func (reversed) Open(sealed []byte, name string) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(name+"\x00"))
	if !ok {
		return nil, errors.New("sealed under another name")
	}
	return flip(rest), nil
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[len(b)-1-i] = b[i] ^ 0xff
	}
	return out
}
