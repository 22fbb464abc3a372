package suite

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

func testAQueuedJobIsCanceledAtOnceAndNeverRuns(t *testing.T, b Bed) {
	t.Helper()
	q, db := b.Open(t, job.Config{Seal: reversed{}})
	j := Submit(t, q, job.Submission{Secret: []byte("x")})
	also := 0
	for range 2 { // the second call must change nothing
		c, err := q.Cancel(t.Context(), j.ID, func(*sql.Tx) error { also++; return nil })
		if err != nil || c.State != job.Canceled || c.Ended.IsZero() {
			t.Error(c, err)
		}
	}
	if also != 1 {
		t.Error(also)
	}
	next := Submit(t, q, job.Submission{})
	Work(t, q, 1, Func(func(_ context.Context, r *job.Run) job.Outcome {
		if r.Job.ID == j.ID {
			t.Error("the canceled job ran")
		}
		return job.Outcome{State: job.Done}
	}))
	Ended(t, q, next.ID)
	if j := Ended(t, q, j.ID); j.State != job.Canceled || j.Attempt != 0 ||
		count(t, db, `SELECT count(*) FROM job_secrets`) != 0 {
		t.Error(j)
	}
	if _, err := q.Cancel(t.Context(), "nothing", nil); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func testARunningJobIsCanceled(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	running := make(chan string, 4)
	Work(t, q, 4, Func(func(ctx context.Context, r *job.Run) job.Outcome {
		running <- r.Job.ID
		<-ctx.Done()
		if err := r.Fence(context.WithoutCancel(ctx)); !fault.Is(err, fault.Canceled) || !r.CancelRequested() ||
			!fault.Is(context.Cause(ctx), fault.Canceled) {
			t.Error(err, context.Cause(ctx))
		}
		r.Log("it stops")
		return job.Outcome{State: job.Failed, Report: json.RawMessage(`{}`), Failure: job.FailureOf(ctx.Err())}
	}))
	told, second := Submit(t, q, job.Submission{}), Submit(t, q, job.Submission{})
	<-running
	<-running
	if c, err := q.Cancel(t.Context(), told.ID, nil); err != nil || c.State != job.Running || !c.CancelRequested {
		t.Error(c, err)
	}
	if _, err := q.Cancel(t.Context(), second.ID, nil); err != nil {
		t.Fatal(err)
	}
	for _, j := range []job.Job{told, second} {
		j = Ended(t, q, j.ID)
		lines, err := q.Log(t.Context(), j.ID, 0, 0)
		if j.State != job.Canceled || err != nil || len(lines) != 1 {
			t.Error(j, lines, err)
		}
	}
}

func testAStoppedWorkerQueuesItsJobsAgain(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{Grace: time.Millisecond})
	started := make(chan struct{}, 2)
	leave := make(chan struct{})
	defer close(leave)
	stop := Work(t, q, 2, Func(func(ctx context.Context, r *job.Run) job.Outcome {
		started <- struct{}{}
		<-ctx.Done()
		if r.Job.Source == "deaf" {
			<-leave
		}
		return job.Outcome{State: job.Failed, Failure: job.FailureOf(context.Cause(ctx))}
	}))
	list := []job.Job{Submit(t, q, job.Submission{}), Submit(t, q, job.Submission{Source: "deaf"})}
	<-started
	<-started
	stop()
	for _, j := range list {
		if j := get(t, q, j.ID); j.State != job.Queued || j.Lost != 0 {
			t.Error(j)
		}
	}
	Work(t, q, 2, Func(done))
	for _, j := range list {
		if j := Ended(t, q, j.ID); j.State != job.Done || j.Attempt != 2 {
			t.Error(j)
		}
	}
}

func testAJobThatEndsWithinTheGraceIsNotRunAgain(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{Grace: time.Hour})
	started, finish := make(chan struct{}), make(chan struct{})
	stop := Work(t, q, 1, Func(func(context.Context, *job.Run) job.Outcome {
		close(started)
		<-finish
		return job.Outcome{State: job.Done}
	}))
	j := Submit(t, q, job.Submission{})
	<-started
	over := make(chan struct{})
	go func() { stop(); close(over) }()
	close(finish)
	<-over
	if j := get(t, q, j.ID); j.State != job.Done || j.Attempt != 1 {
		t.Error(j)
	}
}

func testAJobCanWaitAndContinue(t *testing.T, b Bed) {
	t.Helper()
	var told ends
	q, _ := b.Open(t, job.Config{Seal: reversed{}, Ended: told.note})
	stop := Work(t, q, 1, Func(func(ctx context.Context, r *job.Run) job.Outcome {
		secret, err := r.Secret(ctx)
		if err != nil || string(secret) != "x" {
			t.Error(secret, err)
		}
		switch {
		case r.Job.Source == "long":
			return job.Outcome{State: job.Waiting, After: time.Hour, Failure: &job.Failure{Kind: fault.Throttled}}
		case r.Job.Attempt == 1:
			return job.Outcome{State: job.Waiting, After: time.Millisecond}
		}
		return job.Outcome{State: job.Done}
	}))
	long := Submit(t, q, job.Submission{Source: "long", Secret: []byte("x")})
	short := Submit(t, q, job.Submission{Secret: []byte("x")})
	if j := Ended(t, q, short.ID); j.State != job.Done || j.Attempt != 2 || j.Lost != 0 {
		t.Error(j)
	}
	if j := get(t, q, long.ID); j.State != job.Waiting || j.Failure.Kind != fault.Throttled {
		t.Error(j)
	}
	if j, err := q.Cancel(t.Context(), long.ID, nil); err != nil || j.State != job.Canceled {
		t.Error(j, err)
	}
	stop()
	slices.Sort(told.all)
	if want := []string{long.ID + " waiting", short.ID + " done", short.ID + " waiting"}; !slices.Equal(told.all, want) {
		t.Errorf("told %q, want %q", told.all, want)
	}
}

func testAPanicFailsOneJobAndNotTheOthers(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	Work(t, q, 2, Func(func(_ context.Context, r *job.Run) job.Outcome {
		switch r.Job.Source {
		case "panic":
			panic("oh")
		case "nonsense":
			return job.Outcome{State: "nonsense"}
		case "bad": // PostgreSQL does not accept this text
			return job.Outcome{State: job.Done, Report: json.RawMessage("\"\x00\"")}
		}
		return job.Outcome{State: job.Done}
	}))
	for _, source := range []string{"panic", "nonsense"} {
		j := Ended(t, q, Submit(t, q, job.Submission{Source: source}).ID)
		if j.State != job.Failed || j.Failure.Kind != fault.Internal {
			t.Error(j)
		}
	}
	Ended(t, q, Submit(t, q, job.Submission{Source: "bad"}).ID)
	if j := Ended(t, q, Submit(t, q, job.Submission{}).ID); j.State != job.Done {
		t.Error(j)
	}
}

func testProgressIsWrittenFromTimeToTimeWhileAJobRuns(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	finish := make(chan struct{})
	Work(t, q, 1, Func(func(_ context.Context, r *job.Run) job.Outcome {
		r.Progress(json.RawMessage(`{"bytes":1}`))
		r.Progress(json.RawMessage(`{"bytes":2}`))
		r.Log("it goes on")
		<-finish
		return job.Outcome{State: job.Done}
	}))
	j := Submit(t, q, job.Submission{})
	for string(get(t, q, j.ID).Progress) != `{"bytes":2}` {
		time.Sleep(time.Millisecond)
	}
	for {
		if lines, err := q.Log(t.Context(), j.ID, 0, 0); err != nil {
			t.Fatal(err)
		} else if len(lines) == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(finish)
	if j := Ended(t, q, j.ID); j.Attempt != 1 || string(j.Progress) != `{"bytes":2}` {
		t.Error(j)
	}
}

func testAWatchMissesNoStateAndResumesAfterAnEvent(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	step := make(chan struct{})
	j := Submit(t, q, job.Submission{})
	var kinds []string
	var seqs []int64
	emitted := false
	for e, err := range q.Watch(t.Context(), j.ID, 0) {
		must(t, err)
		kinds, seqs = append(kinds, e.Kind), append(seqs, e.Seq)
		switch {
		case len(kinds) == 1: // the job is queued
			Work(t, q, 1, Func(func(_ context.Context, r *job.Run) job.Outcome {
				for i := range 5 {
					r.Emit("step", json.RawMessage(strconv.Itoa(i)))
				}
				<-step
				return job.Outcome{State: job.Done}
			}))
		case e.Kind == "step" && string(e.Data) == "2" && !emitted:
			emitted = true
			var again []string // what a second watch yields that begins after this event
			for e2, err := range q.Watch(t.Context(), j.ID, e.Seq) {
				must(t, err)
				if e2.Kind == "step" {
					again = append(again, string(e2.Data))
				}
				if len(again) == 2 {
					break
				}
			}
			if strings.Join(again, " ") != "3 4" {
				t.Error(again)
			}
			close(step)
		}
	}
	if got := strings.Join(kinds, ","); got != "state,state,step,step,step,step,step,ended" &&
		got != "state,step,step,step,step,step,ended" {
		t.Error(got, seqs)
	}
	for _, err := range q.Watch(t.Context(), "nothing", 0) {
		if !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range q.Watch(ctx, j.ID, 0) {
		if err != nil && !fault.Is(err, fault.Canceled) {
			t.Error(err)
		}
	}
}

// A reader that continues after the last number that it has seen gets each item and line once, while they are
// written.
func testAReaderOfItemsAndLogMissesNothing(t *testing.T, b Bed) {
	t.Helper()
	const n = 2000
	q, _ := b.Open(t, job.Config{})
	Work(t, q, 1, Func(func(ctx context.Context, r *job.Run) job.Outcome {
		for i := range n {
			if err := r.Item(ctx, json.RawMessage(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
			r.Log(strconv.Itoa(i))
		}
		return job.Outcome{State: job.Done}
	}))
	j := Submit(t, q, job.Submission{})
	items, lines := 0, 0
	for over := false; !over; {
		over = get(t, q, j.ID).State.Ended()
		for after := int64(0); ; {
			page, err := q.Items(t.Context(), j.ID, after, 300)
			must(t, err)
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].Seq
			if !over {
				continue
			}
			for _, it := range page {
				if string(it.Data) != strconv.Itoa(items) {
					t.Fatal(string(it.Data), items)
				}
				items++
			}
		}
	}
	for after := int64(0); ; {
		page, err := q.Log(t.Context(), j.ID, after, 300)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			if l.Text != strconv.Itoa(lines) {
				t.Fatal(l.Text, lines)
			}
			lines++
		}
		after = page[len(page)-1].Seq
	}
	if items != n || lines != n {
		t.Error(items, lines)
	}
}

func testManyJobsOfOneDoNotDelayTheFirstOfAnother(t *testing.T, b Bed) {
	t.Helper()
	if b.Unfair < 0 {
		t.Skip("SKIPPED: this engine is not fair")
	}
	q, _ := b.Open(t, job.Config{})
	for range 100 {
		Submit(t, q, job.Submission{Principal: "ann"})
	}
	claimed, next := make(chan string), make(chan struct{})
	stop := Work(t, q, 2, Func(func(_ context.Context, r *job.Run) job.Outcome {
		claimed <- r.Job.Principal
		<-next
		return job.Outcome{State: job.Done}
	}))
	defer func() {
		over := make(chan struct{})
		go func() {
			for {
				select {
				case <-claimed:
				case <-over:
					return
				}
			}
		}()
		close(next)
		stop()
		close(over)
	}()
	for range 2 {
		if who := <-claimed; who != "ann" {
			t.Error(who)
		}
	}
	for range 3 {
		Submit(t, q, job.Submission{Principal: "bob"})
		Submit(t, q, job.Submission{Principal: "cyd"})
	}
	order := ""
	for range 9 + 3*b.Unfair {
		next <- struct{}{}
		order += (<-claimed)[:1]
	}
	// The other principals get the next two slots, and after that the principals take turns.
	if strings.Count(order[:2+b.Unfair], "a") > b.Unfair ||
		strings.Count(order, "b") != 3 || strings.Count(order, "c") != 3 {
		t.Error(order)
	}
}

func testWorkersAreListed(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{Owner: "host", Kind: "server", Version: "1.2.3", Pools: []string{"a", "b"}})
	running := make(chan struct{})
	stop := Work(t, q, 3, Func(func(ctx context.Context, _ *job.Run) job.Outcome {
		running <- struct{}{}
		<-ctx.Done()
		return job.Outcome{State: job.Canceled}
	}))
	pool := ""
	if b.Divides { // the embedded engine has no pools
		pool = "a"
	}
	j := Submit(t, q, job.Submission{Pool: pool})
	<-running
	all, err := q.Workers(t.Context())
	must(t, err)
	if len(all) != 1 {
		t.Fatal(all)
	}
	w := all[0]
	if w.Name != "host" || w.ID != q.Owner() || w.Kind != "server" || w.Version != "1.2.3" ||
		strings.Join(w.Pools, " ") != "a b" || w.Slots != 3 || w.Running != 1 ||
		!w.Alive || w.Started.IsZero() || get(t, q, j.ID).Owner != w.ID {
		t.Errorf("%+v", w)
	}
	_, err = q.Cancel(t.Context(), j.ID, nil)
	must(t, err)
	Ended(t, q, j.ID)
	if all, err = q.Workers(t.Context()); err != nil || len(all) != 1 || all[0].Running != 0 {
		t.Error(all, err)
	}
	stop()
	if all, err = q.Workers(t.Context()); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}
