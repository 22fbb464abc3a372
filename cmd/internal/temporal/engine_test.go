//go:build unix

package temporal_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/temporal"
	"github.com/drayage/dray/fault"
	bed "github.com/drayage/dray/internal/testbed/temporal"
)

func TestJobsRunAndWait(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q := open(t, p)
	must(t, q.Ready(t.Context()))
	suite.Work(t, q, 2, newRunner())
	for kind, want := range map[string]struct {
		state   job.State
		attempt int
	}{"done": {job.Done, 1}, "wait": {job.Done, 2}, "fail": {job.Failed, 1}, "parts 0": {job.Done, 1}} {
		if j := ended(t, q, submit(t, q, kind).ID); j.State != want.state || j.Attempt != want.attempt {
			t.Errorf("%s: %+v", kind, j)
		}
	}
	if n := count(t, db, `SELECT count(*) FROM effects`); n != 2 {
		t.Error(n, "effects")
	}
}

// Each worker has one slot, and keeps its first part until all workers have one.
func TestADividedJobRunsOnAllProcesses(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q, e := openBoth(t, p)
	e.DivideBy(16)
	suite.Work(t, q, 0, newRunner()) // a server that runs no jobs
	const workers, parts = 4, 40
	var nodes []*node
	for range workers {
		nodes = append(nodes, start(t, p, 1))
	}
	id := submit(t, q, fmt.Sprintf("hold parts %d", parts)).ID
	for _, n := range nodes {
		n.hear("up")
		if said := n.next(); !strings.HasPrefix(said, "begun part") {
			t.Fatal(said)
		}
	}
	for _, n := range nodes {
		n.tell(parts)
	}
	j := ended(t, q, id)
	report, err := q.Report(t.Context(), j.ID)
	if j.State != job.Done || j.Attempt != 1 || string(report) != fmt.Sprintf(`{"done":%d}`, parts) {
		t.Error(j, string(report), err)
	}
	if n := count(t, db, `SELECT count(DISTINCT part) FROM effects WHERE job = $1`, j.ID); n != parts {
		t.Error(n, "parts")
	}
	items, err := q.Items(t.Context(), j.ID, 0, 100)
	must(t, err)
	by := map[int]int{}
	for _, it := range items {
		var at struct{ Pid int }
		must(t, json.Unmarshal(it.Data, &at))
		by[at.Pid]++
	}
	if len(by) != workers || len(items) != parts {
		t.Error(by)
	}
}

func TestACancelIsSeenInAnotherProcessWithinASecond(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q := open(t, p)
	suite.Work(t, q, 0, newRunner())
	w := start(t, p, 4)
	w.hear("up")
	whole := submit(t, q, "hold")
	w.hear("begun 1")
	parts := submit(t, q, "hold parts 2")
	w.next()
	w.next()
	for _, j := range []job.Job{whole, parts} {
		began := time.Now()
		_, err := q.Cancel(t.Context(), j.ID, nil)
		must(t, err)
		said := w.next()
		took := time.Since(began)
		if !strings.Contains(said, "a cancel was requested") || took > 2*time.Second { // a busy machine
			t.Error(took, said)
		}
		if j = ended(t, q, j.ID); j.State != job.Canceled {
			t.Error(j)
		}
		t.Log(j.Kind, "saw its cancel after", took, "and ended after", time.Since(began))
		for range 2 - boolean(j.ID == whole.ID) { // the effects, which the fence refuses
			for !strings.HasPrefix(w.next(), "effect false fence false") {
				continue
			}
		}
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestAJobThatIsCanceledBeforeItStartsLeavesNothingInTemporal(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q, e := openBoth(t, p)
	never := submit(t, q, "done")
	_, err := q.Cancel(t.Context(), never.ID, nil)
	must(t, err)
	suite.Work(t, q, 0, newRunner())
	early := submit(t, q, "done") // started, but no worker has a slot
	eventually(t, func() bool {
		return status(t, e, early.ID) == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	})
	_, err = q.Cancel(t.Context(), early.ID, nil)
	must(t, err)
	eventually(t, func() bool { return status(t, e, early.ID) == enums.WORKFLOW_EXECUTION_STATUS_CANCELED })
	if s := status(t, e, never.ID); s != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		t.Error(s)
	}
	eventually(t, func() bool { o, err := q.Orders(t.Context(), 10); return err == nil && len(o) == 0 })
}

// status returns the state of a job's workflow; it is unspecified if there is none.
func status(tb testing.TB, e *temporal.Engine, id string) enums.WorkflowExecutionStatus {
	tb.Helper()
	d, err := e.Client().DescribeWorkflow(tb.Context(), id, "")
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	must(tb, err)
	return d.Status
}

func eventually(tb testing.TB, ok func() bool) {
	tb.Helper()
	for last := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(last) {
			tb.Fatal("it does not happen")
		}
	}
}

// What people do in Temporal by hand, and what a restored database of Temporal's has forgotten.
func TestTheRowsAreTheTruth(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q, e := openBoth(t, p)
	run := newRunner()
	suite.Work(t, q, 4, run)
	canceled, terminated := submit(t, q, "hold"), submit(t, q, "hold")
	for _, j := range []job.Job{canceled, terminated} {
		until(t, q, j.ID, func(j job.Job) bool { return j.State == job.Running })
	}
	must(t, e.Client().CancelWorkflow(t.Context(), canceled.ID, ""))
	if j := ended(t, q, canceled.ID); j.State != job.Canceled {
		t.Error(j)
	}
	must(t, e.Client().TerminateWorkflow(t.Context(), terminated.ID, "", ""))
	must(t, e.LookFor(t.Context(), terminated.ID))
	if j := get(t, q, terminated.ID); j.State != job.Failed || !strings.Contains(j.Failure.Text, "terminated") {
		t.Error(j, j.Failure)
	}

	parts := submit(t, q, "hold parts 9")
	eventually(t, func() bool {
		return count(t, db, `SELECT count(*) FROM job_parts WHERE job = $1 AND state = 'running'`, parts.ID) == 4
	})
	must(t, e.Client().TerminateWorkflow(t.Context(), parts.ID, "", ""))
	must(t, e.LookFor(t.Context(), parts.ID))
	if j := get(t, q, parts.ID); j.State != job.Failed || j.Attempt != 1 ||
		!strings.HasSuffix(j.Failure.Text, "terminated in Temporal; 5 of 9 parts were not carried out, and 4 were interrupted") {
		t.Error(j, j.Failure)
	}

	gone := submit(t, q, "sleep 500") // its row disappears, and its workflow ends quietly
	_, err := db.ExecContext(t.Context(), `DELETE FROM jobs WHERE id = $1`, gone.ID)
	must(t, err)
	eventually(t, func() bool {
		s := status(t, e, gone.ID)
		return s == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED || s == enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	})

	again := ended(t, q, submit(t, q, "done").ID) // as in a database that was restored from a backup
	eventually(t, func() bool { return status(t, e, again.ID) == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED })
	_, err = db.ExecContext(t.Context(), `UPDATE jobs SET state = 'queued', ended = 0 WHERE id = $1`, again.ID)
	must(t, err)
	must(t, e.LookFor(t.Context(), again.ID))
	isDone(t, q, again.ID, 2)
}

func TestTwoClustersInOneNamespaceDoNotTakeEachOthersJobs(t *testing.T) {
	t.Parallel()
	a, b := here(t), place{}
	b.db, b.temporal = databases.Postgres(t), a.temporal
	witness(t, a)
	witness(t, b)
	queues, runners := []*job.Queue{open(t, a), open(t, b)}, []*runner{newRunner(), newRunner()}
	var all [2][]string
	for i, q := range queues {
		suite.Work(t, q, 2, runners[i])
	}
	for range 10 {
		for i, q := range queues {
			all[i] = append(all[i], submit(t, q, "done").ID)
		}
	}
	for i, q := range queues {
		for _, id := range all[i] {
			isDone(t, q, id, 1)
		}
		ran := runners[i].order()
		slices.Sort(ran)
		if !slices.Equal(ran, all[i]) {
			t.Error("cluster", i, "ran", ran, "and was given", all[i])
		}
	}
}

// A job that was lost three times waits for those that run in the process, and they for it.
func TestAJobThatWasLostOftenRunsAlone(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q, run := open(t, p), newRunner()
	lost := func(s *job.Submission) {
		s.Also = func(ctx context.Context, tx *sql.Tx, j job.Job) error {
			_, err := tx.ExecContext(ctx, `UPDATE jobs SET lost = 3 WHERE id = $1`, j.ID)
			return err
		}
	}
	var all []string
	for range 4 {
		all = append(all, submit(t, q, "sleep 100").ID, submit(t, q, "sleep 100").ID, submit(t, q, "sleep 100", lost).ID)
	}
	suite.Work(t, q, 3, run)
	for _, id := range all {
		if j := ended(t, q, id); j.State != job.Done {
			t.Error(j)
		}
	}
	if run.crowded > 0 || run.most() < 2 {
		t.Error(run.crowded, "times a job that must run alone did not;", run.most(), "ran at the same time")
	}
}

func TestTemporalShowsHowFarAJobIsAndNoNames(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q, e := openBoth(t, p)
	run := newRunner()
	suite.Work(t, q, 1, run)
	j := submit(t, q, "hold")
	var said string
	eventually(t, func() bool {
		d, err := e.Client().DescribeWorkflow(t.Context(), j.ID, "")
		if err != nil || len(d.RawResponse.GetPendingActivities()) == 0 {
			return false
		}
		said = ""
		for _, p := range d.RawResponse.GetPendingActivities()[0].GetHeartbeatDetails().GetPayloads() {
			said += string(p.GetData())
		}
		return strings.Contains(said, `"steps":3`)
	})
	if said != `{"doneBytes":5,"failed":0,"finished":1,"steps":3,"totalBytes":0}` {
		t.Error(said)
	}
	run.told <- struct{}{}
	ended(t, q, j.ID)
}

func TestAWorkerThatStopsGivesItsJobsBack(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q := open(t, p)
	first, second := newRunner(), newRunner()
	stop := suite.Work(t, q, 2, first)
	whole, parts := submit(t, q, "hold"), submit(t, q, "hold parts 1")
	for _, j := range []job.Job{whole, parts} {
		until(t, q, j.ID, func(j job.Job) bool { return j.State == job.Running })
	}
	other := open(t, p)
	suite.Work(t, other, 2, second)
	began := time.Now()
	stop()
	second.told <- struct{}{}
	second.told <- struct{}{}
	for _, j := range []job.Job{whole, parts} {
		if j := ended(t, other, j.ID); j.State != job.Done || j.Lost != 0 {
			t.Error(j)
		}
	}
	t.Log("stopped, and done elsewhere, after", time.Since(began))
}

func TestSlotsAreSharedByThePoolsOfAProcess(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	elsewhere := open(t, p, func(c *temporal.Config) { c.Pools = []string{"b"} })
	strange := newRunner()
	suite.Work(t, elsewhere, 2, strange)
	q := open(t, p, func(c *temporal.Config) { c.Pools = []string{"", "a"} })
	run := newRunner()
	suite.Work(t, q, 1, run)
	var all []job.Job
	for range 4 {
		all = append(all, submit(t, q, "sleep 30"), submit(t, q, "sleep 30", func(s *job.Submission) { s.Pool = "a" }))
	}
	for _, j := range all {
		isDone(t, q, j.ID, 0)
	}
	if run.most() != 1 || len(strange.order()) != 0 {
		t.Error(run.most(), "at the same time;", len(strange.order()), "in another pool")
	}
}

// A Temporal that has just started hands out jobs as they came for about a second. So there are several rounds; without
// fairness the job is the last in each of them.
func TestTheJobOfAnotherPrincipalDoesNotWaitForAllOthers(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q, e := openBoth(t, p)
	const n, rounds = 24, 4
	for round := range rounds {
		place := placeOfAnother(t, p, q, e, n)
		t.Log("the job of bob was number", place+1, "of", n+1)
		if place <= n/4 {
			return
		}
		if round == rounds-1 {
			t.Error(place)
		}
	}
}

// placeOfAnother submits n jobs of one principal and then one of another, and returns how many jobs run before that one.
func placeOfAnother(t *testing.T, p place, q *job.Queue, e *temporal.Engine, n int) int {
	t.Helper()
	var all []string
	for range n {
		all = append(all, submit(t, q, "done").ID)
	}
	other := submit(t, q, "done", func(s *job.Submission) { s.Principal = "bob" })
	stop := suite.Work(t, q, 0, newRunner())
	for _, id := range append(all, other.ID) {
		eventually(t, func() bool {
			d, err := e.Client().DescribeWorkflow(t.Context(), id, "")
			return err == nil && len(d.RawResponse.GetPendingActivities()) == 1
		})
	}
	eventually(t, func() bool { return waiting(t, p, e, other.ID) == n+1 }) // what was ordered reaches its queue
	stop()
	run := newRunner()
	stop = suite.Work(t, q, 1, run)
	defer stop()
	for _, id := range append(all, other.ID) {
		ended(t, q, id)
	}
	return slices.Index(run.order(), other.ID)
}

// waiting returns how many jobs wait for a worker in the queue of the job id, as Temporal counts them.
func waiting(t *testing.T, p place, e *temporal.Engine, id string) int {
	t.Helper()
	d, err := e.Client().DescribeWorkflow(t.Context(), id, "")
	must(t, err)
	queue, err := e.Client().WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
		Namespace:     path.Base(p.temporal),
		TaskQueue:     d.RawResponse.GetExecutionConfig().GetTaskQueue(),
		TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
		ReportStats:   true,
	})
	must(t, err)
	return int(queue.GetStats().GetApproximateBacklogCount())
}

func TestAProcessThatStartsBeforeTemporalWaitsForIt(t *testing.T) {
	t.Parallel()
	s := bed.New(t)
	p := place{db: databases.Postgres(t), temporal: s.Namespace(t)}
	witness(t, p)
	must(t, s.Stop())
	q := open(t, p)
	if err := q.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	j := submit(t, q, "done")
	suite.Work(t, q, 1, newRunner())
	time.Sleep(time.Second)
	must(t, s.Start())
	isDone(t, q, j.ID, 1)
}

func TestAnEngineSaysThatItsNamespaceIsMissing(t *testing.T) {
	t.Parallel()
	p := here(t)
	p.temporal = p.temporal[:strings.LastIndex(p.temporal, "/")] + "/missing"
	q := open(t, p)
	err := q.Ready(t.Context())
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "namespace create") {
		t.Error(err)
	}
}
