//go:build unix

package temporal_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
)

// runner carries out jobs of tests. The kind of a job says what it does:
//
//	done          nothing
//	hold          says "begun", and waits for a line of input or the end of its context
//	hold tx       the same, within the transaction of its effect
//	sleep N       takes N milliseconds
//	wait          is waiting once, for 100 ms
//	parts N       has N parts; each says where it ran, as an item
//	hold parts N  the same, and each part does what "hold" does
//	die           ends its process
//	fail          fails with a text that has a secret
//
// Each leaves an effect in the table effects, under the fence.
type runner struct {
	say  func(string) // nil: nowhere
	told chan struct{}

	mu  sync.Mutex
	ran []string // the jobs that were carried out, in order
	now int      // how many are carried out
	max int      // how many were at the same time

	solo    bool // a job that must run alone is carried out
	crowded int  // how often such a job and another were carried out at the same time
}

func newRunner() *runner { return &runner{told: make(chan struct{}, 1000)} }

func (r *runner) tell(text string) {
	if r.say != nil {
		r.say(text)
	}
}

func (r *runner) order() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ran...)
}

func (r *runner) most() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.max
}

func (r *runner) enter(run *job.Run) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, run.Job.ID)
	r.now++
	if r.now > 1 && (run.Solo || r.solo) {
		r.crowded++
	}
	r.solo = r.solo || run.Solo
	r.max = max(r.max, r.now)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now--
		if run.Solo {
			r.solo = false
		}
	}
}

func (r *runner) Run(ctx context.Context, run *job.Run) job.Outcome {
	defer r.enter(run)()
	kind, n, _ := strings.Cut(run.Job.Kind, " ")
	switch kind {
	case "hold":
		if n == "tx" {
			break
		}
		run.Progress(json.RawMessage(`{"steps":3,"finished":1,"doneBytes":5,"waiting":[{"host":"hunter2"}]}`))
		r.hold(ctx, fmt.Sprintf("begun %d", run.Job.Attempt))
	case "sleep":
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(number(n)) * time.Millisecond):
		}
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "fail":
		return job.Outcome{State: job.Failed, Failure: &job.Failure{Text: "hunter2 is wrong"}}
	case "wait":
		if run.Job.Attempt == 1 {
			return job.Outcome{State: job.Waiting, After: 100 * time.Millisecond}
		}
	}
	return r.effect(ctx, run)
}

func (r *runner) hold(ctx context.Context, say string) {
	r.tell(say)
	select {
	case <-ctx.Done():
		r.tell("ended: " + context.Cause(ctx).Error())
	case <-r.told:
	}
}

// effect stores the effect of a run, if the fence lets it.
func (r *runner) effect(ctx context.Context, run *job.Run) job.Outcome {
	plain := context.WithoutCancel(ctx)
	err := run.Fence(plain)
	fence := err == nil
	act := func(tx *sql.Tx) error {
		if run.Job.Kind == "hold tx" && run.Job.Attempt == 1 {
			r.hold(plain, "in transaction")
		}
		// As a copy does, it looks before it acts.
		_, err := tx.ExecContext(plain, `INSERT INTO effects (job, part, attempt) SELECT $1, $2, $3
			WHERE NOT EXISTS (SELECT 1 FROM effects WHERE job = $1 AND part = $2)`, run.Job.ID, run.Part, run.Job.Attempt)
		return err
	}
	for err = run.Tx(plain, act); errors.Is(err, store.ErrUncertain); err = run.Tx(plain, act) {
		time.Sleep(10 * time.Millisecond) // it looks again
	}
	r.tell(fmt.Sprintf("effect %t fence %t", err == nil, fence))
	if ctx.Err() != nil {
		return job.Outcome{State: job.Canceled, Failure: job.FailureOf(context.Cause(ctx))}
	}
	if err != nil {
		return job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
	}
	return job.Outcome{State: job.Done, Report: json.RawMessage(fmt.Sprintf(`{"pid":%d}`, os.Getpid()))}
}

func (r *runner) Split(_ context.Context, run *job.Run, emit func(json.RawMessage) error) (bool, job.Outcome) {
	_, n, ok := strings.Cut(run.Job.Kind, "parts ")
	if !ok {
		return true, job.Outcome{}
	}
	for i := range number(n) {
		if err := emit(json.RawMessage(fmt.Sprintf(`{"repository":"hunter2/%d"}`, i))); err != nil {
			return false, job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
		}
	}
	return false, job.Outcome{}
}

func (r *runner) Part(ctx context.Context, run *job.Run, _ json.RawMessage) job.Outcome {
	if strings.HasPrefix(run.Job.Kind, "hold") {
		r.hold(ctx, fmt.Sprintf("begun part %d", run.Part))
	}
	_ = run.Item(ctx, json.RawMessage(fmt.Sprintf(`{"part":%d,"pid":%d}`, run.Part, os.Getpid())))
	return r.effect(ctx, run)
}

func (r *runner) Sum(_ context.Context, _ *job.Run, parts iter.Seq2[job.Outcome, error]) job.Outcome {
	states := map[job.State]int{}
	for out, err := range parts {
		if err != nil {
			return job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
		}
		states[out.State]++
	}
	report, _ := json.Marshal(states)
	out := job.Outcome{State: job.Done, Report: report}
	for state := range states {
		if state != job.Done {
			out.State = job.Partly
		}
	}
	return out
}

// act is one process of a cluster in a process of its own: a worker with four slots.
func act(url, database string) error {
	ctx, done := context.WithCancel(context.Background())
	defer done()
	var mu sync.Mutex
	r := newRunner()
	r.say = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(text)
	}
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			r.told <- struct{}{}
		}
		done() // the input ends when the process must stop
	}()
	db, err := store.Open(ctx, database)
	if err != nil {
		return err
	}
	lease, err := time.ParseDuration(os.Getenv("DRAY_TEMPORAL_LEASE"))
	if err != nil {
		return err
	}
	q, _, err := join(ctx, db, place{temporal: url, lease: lease})
	if err != nil {
		return err
	}
	r.say("up")
	return q.Work(ctx, number(os.Getenv("DRAY_TEMPORAL_SLOTS")), r)
}
