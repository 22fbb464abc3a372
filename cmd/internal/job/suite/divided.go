package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

// parted is a Runner that divides each job into n parts.
type parted struct {
	n    int
	part func(ctx context.Context, r *job.Run, n int) job.Outcome
}

func (p parted) Run(context.Context, *job.Run) job.Outcome {
	return job.Outcome{State: job.Failed, Failure: &job.Failure{Kind: fault.Internal, Text: "run as a whole"}}
}

func (p parted) Split(_ context.Context, r *job.Run, emit func(json.RawMessage) error) (bool, job.Outcome) {
	r.Log("dividing")
	for i := range p.n {
		if err := emit(json.RawMessage(strconv.Itoa(i + 1))); err != nil {
			return false, job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
		}
	}
	return false, job.Outcome{}
}

func (p parted) Part(ctx context.Context, r *job.Run, part json.RawMessage) job.Outcome {
	n, err := strconv.Atoi(string(part))
	if err != nil || n != r.Part {
		return job.Outcome{State: job.Failed, Failure: &job.Failure{Kind: fault.Internal, Text: fmt.Sprint(n, r.Part, err)}}
	}
	return p.part(ctx, r, n)
}

// Sum reports the state of each part, and the sum of their reports.
func (p parted) Sum(_ context.Context, r *job.Run, parts iter.Seq2[job.Outcome, error]) job.Outcome {
	var states []string
	sum := 0
	for out, err := range parts {
		if err != nil {
			return job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
		}
		states = append(states, string(out.State))
		n, _ := strconv.Atoi(string(out.Report))
		sum += n
	}
	r.Log("adding up")
	report := fmt.Sprintf(`{"sum":%d,"states":%q}`, sum, strings.Join(states, " "))
	out := job.Outcome{State: job.Done, Report: json.RawMessage(report)}
	if slices.ContainsFunc(states, func(s string) bool { return s != string(job.Done) }) {
		out.State, out.Failure = job.Partly, &job.Failure{Kind: fault.Unavailable, Text: "some parts failed"}
	}
	return out
}

func report(t *testing.T, q *job.Queue, id string) (sum int, states string) {
	t.Helper()
	raw, err := q.Report(t.Context(), id)
	must(t, err)
	var r struct {
		Sum    int
		States string
	}
	must(t, json.Unmarshal(raw, &r))
	return r.Sum, r.States
}

func testADividedJobIsTheSumOfItsParts(t *testing.T, b Bed) {
	t.Helper()
	if !b.Divides {
		t.Skip("SKIPPED: this engine divides no jobs")
	}
	var told ends
	q, db := b.Open(t, job.Config{Seal: reversed{}, Ended: told.note})
	const n = 25
	stop := Work(t, q, 4, parted{n: n, part: func(ctx context.Context, r *job.Run, n int) job.Outcome {
		secret, err := r.Secret(ctx)
		if err != nil || string(secret) != "x" || r.Fence(ctx) != nil {
			t.Error(string(secret), err)
		}
		for range 2 {
			if err := r.Item(ctx, json.RawMessage(strconv.Itoa(n))); err != nil {
				t.Error(err)
			}
		}
		r.Log(fmt.Sprint("part ", n))
		r.Progress(json.RawMessage(`{"steps":2,"finished":2,"doneBytes":10,"bytesPerSecond":5}`))
		return job.Outcome{State: job.Done, Report: json.RawMessage(strconv.Itoa(n))}
	}})
	j := Ended(t, q, Submit(t, q, job.Submission{Secret: []byte("x")}).ID)
	sum, states := report(t, q, j.ID)
	if j.State != job.Done || j.Attempt != 1 || sum != n*(n+1)/2 ||
		states != strings.TrimSpace(strings.Repeat("done ", n)) {
		t.Error(j, j.Failure, sum, states)
	}
	var p struct{ Steps, Finished, DoneBytes, BytesPerSecond int }
	must(t, json.Unmarshal(j.Progress, &p))
	if p.Steps != 2*n || p.Finished != 2*n || p.DoneBytes != 10*n || p.BytesPerSecond != 0 {
		t.Errorf("%s", j.Progress)
	}
	items, err := q.Items(t.Context(), j.ID, 0, 0)
	must(t, err)
	lines, err := q.Log(t.Context(), j.ID, 0, 0)
	must(t, err)
	if len(items) != 2*n || len(lines) != n+2 || lines[0].Text != "dividing" || lines[n+1].Text != "adding up" {
		t.Error(len(items), len(lines), lines)
	}
	if left := count(t, db, `SELECT (SELECT count(*) FROM job_parts) + (SELECT count(*) FROM job_secrets)`); left != 0 {
		t.Error(left, "rows of parts and secrets are left")
	}
	stop()
	if want := []string{j.ID + " done"}; !slices.Equal(told.all, want) || q.Running() != 0 {
		t.Errorf("told %q, want %q; %d still run", told.all, want, q.Running())
	}
}

func testACanceledDividedJobHasTheSumOfWhatWasDone(t *testing.T, b Bed) {
	t.Helper()
	if !b.Divides {
		t.Skip("SKIPPED: this engine divides no jobs")
	}
	var told ends
	q, db := b.Open(t, job.Config{Ended: told.note})
	begun := make(chan int, 100)
	var first atomic.Bool
	stop := Work(t, q, 2, parted{n: 6, part: func(ctx context.Context, _ *job.Run, n int) job.Outcome {
		begun <- n
		if first.CompareAndSwap(false, true) { // an engine need not begin the parts in their order
			return job.Outcome{State: job.Done, Report: json.RawMessage("1")}
		}
		<-ctx.Done()
		return job.Outcome{State: job.Failed, Failure: job.FailureOf(context.Cause(ctx))}
	}})
	j := Submit(t, q, job.Submission{})
	seen := map[int]bool{}
	for range 3 { // the first has ended by then, and two others run
		select {
		case n := <-begun:
			seen[n] = true
		case <-time.After(20 * time.Second):
			t.Fatal("the parts do not begin")
		}
	}
	for count(t, db, `SELECT count(*) FROM job_parts WHERE state = 'done'`) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	asked := time.Now()
	_, err := q.Cancel(t.Context(), j.ID, nil)
	must(t, err)
	j = Ended(t, q, j.ID)
	took := time.Since(asked)
	sum, states := report(t, q, j.ID)
	if j.State != job.Canceled || sum != 1 || strings.Count(states, "done") != 1 || len(strings.Fields(states)) != 6 {
		t.Error(j, sum, states)
	}
	stop()
	for len(begun) > 0 {
		seen[<-begun] = true
	}
	text := fmt.Sprintf("canceled; %d of 6 parts were not carried out, and %d were interrupted", 6-len(seen), len(seen)-1)
	if j.Failure == nil || j.Failure.Kind != fault.Canceled || j.Failure.Text != text {
		t.Errorf("%+v, want %q", j.Failure, text)
	}
	if want := []string{j.ID + " canceled"}; !slices.Equal(told.all, want) {
		t.Errorf("told %q, want %q", told.all, want)
	}
	t.Log("canceled after", took)
}

func testAPartCanWaitAndFail(t *testing.T, b Bed) {
	t.Helper()
	if !b.Divides {
		t.Skip("SKIPPED: this engine divides no jobs")
	}
	q, _ := b.Open(t, job.Config{})
	var mu sync.Mutex
	tries := map[int]int{}
	Work(t, q, 3, parted{n: 3, part: func(ctx context.Context, r *job.Run, n int) job.Outcome {
		mu.Lock()
		tries[n]++
		try := tries[n]
		mu.Unlock()
		if err := r.Item(ctx, json.RawMessage(strconv.Itoa(n))); err != nil {
			t.Error(err)
		}
		switch {
		case n == 1 && try == 1:
			return job.Outcome{State: job.Waiting, After: time.Millisecond}
		case n == 2:
			panic("oh")
		}
		return job.Outcome{State: job.Done, Report: json.RawMessage(strconv.Itoa(n))}
	}})
	j := Ended(t, q, Submit(t, q, job.Submission{}).ID)
	sum, states := report(t, q, j.ID)
	items, err := q.Items(t.Context(), j.ID, 0, 0)
	must(t, err)
	if j.State != job.Partly || sum != 4 || states != "done failed done" || len(items) != 3 || tries[1] != 2 {
		t.Error(j, sum, states, len(items), tries)
	}
}

func testAJobThatRunsElsewhereIsWatchedAndCanceled(t *testing.T, b Bed) {
	t.Helper()
	if b.Beside == nil {
		t.Skip("SKIPPED: this engine has one process")
	}
	here, db := b.Open(t, job.Config{})
	there := b.Beside(t, db, job.Config{})
	Work(t, here, 0, Func(nil))
	Work(t, there, 1, Func(func(ctx context.Context, r *job.Run) job.Outcome {
		r.Log("early")
		r.Progress(json.RawMessage(`{"steps":7}`))
		<-ctx.Done()
		r.Log("late")
		return job.Outcome{State: job.Failed, Failure: job.FailureOf(context.Cause(ctx))}
	}))
	j := Submit(t, here, job.Submission{})
	var got []string
	seq := int64(0)
	var asked time.Time
	for e, err := range here.Watch(t.Context(), j.ID, 0) {
		must(t, err)
		if e.Seq < seq {
			t.Error("the sequence number decreases")
		}
		seq = e.Seq
		if e.Kind == "log" || e.Kind == "progress" {
			got = append(got, e.Kind+string(e.Data))
		}
		if e.Kind == "progress" && asked.IsZero() {
			asked = time.Now()
			_, err := here.Cancel(t.Context(), j.ID, nil)
			must(t, err)
		}
	}
	took := time.Since(asked)
	if j := get(t, here, j.ID); j.State != job.Canceled ||
		strings.Join(got, " ") != `log"early" progress{"steps":7} log"late"` {
		t.Error(j, got)
	}
	t.Log("canceled after", took) // the watch looks every second
}
