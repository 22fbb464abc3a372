//go:build unix

package temporal_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/internal/testbed/database"
	bed "github.com/drayage/dray/internal/testbed/temporal"
)

// scene is a new cluster: a queue that runs no jobs, and a worker in a process of its own that is at work on a
// job.
type scene struct {
	p  place
	db *store.DB
	q  *job.Queue
	w  *node
	j  job.Job
}

// atWork returns a scene in which the worker has said a text about its job, which is of a kind.
func atWork(tb testing.TB, slots int, kind, said string) (s scene) {
	tb.Helper()
	s.p = losing(tb)
	s.db = witness(tb, s.p)
	s.q = open(tb, s.p)
	s.w = start(tb, s.p, slots)
	s.w.hear("up")
	s.j = submit(tb, s.q, kind)
	s.w.hear(said)
	return s
}

// holding returns a runner that is at work on a job of the kind hold. The job was submitted to the queue by, and
// q carries it out. What the runner says next comes from the channel.
func holding(tb testing.TB, q, by *job.Queue) (run *runner, j job.Job, said <-chan string) {
	tb.Helper()
	run = newRunner()
	all := make(chan string, 100)
	run.say = func(s string) { all <- s }
	suite.Work(tb, q, 1, run)
	j = submit(tb, by, "hold")
	<-all
	return run, j, all
}

func TestTheJobOfAKilledWorkerGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	s := atWork(t, 2, "hold", "begun 1")
	parts := submit(t, s.q, "hold parts 1")
	s.w.hear("begun part 1")
	v := start(t, s.p, 2)
	v.hear("up")
	s.w.kill()
	began := time.Now()
	said := v.next() + ", " + v.next()
	t.Log("going on after", time.Since(began), said)
	v.tell(20)
	isDone(t, s.q, s.j.ID, 0)
	isDone(t, s.q, parts.ID, 0)
	if n := count(t, s.db, `SELECT count(*) FROM effects`); n != 2 {
		t.Error(n, "effects")
	}
}

func TestAJobThatKillsThreeWorkersThatRunItAloneIsFailed(t *testing.T) {
	t.Parallel()
	if os.Getenv("DRAY_SOAK") == "" {
		t.Skip("SKIPPED: it takes half a minute; make soak runs it")
	}
	p := here(t)
	p.lease = 8 * time.Second // a worker is dead after 6 s
	witness(t, p)
	q := open(t, p)
	suite.Work(t, q, 0, newRunner())
	j := submit(t, q, "die")
	eventually(t, func() bool { o, err := q.Orders(t.Context(), 1); return err == nil && len(o) == 0 })
	for range 3 {
		<-start(t, p, 2).gone
	}
	w := start(t, p, 2)
	w.hear("up")
	if j = ended(t, q, j.ID); j.State != job.Failed || j.Lost != 3 || !strings.Contains(j.Failure.Text, "3 workers disappeared") {
		t.Error(j, j.Failure)
	}
	isDone(t, q, submit(t, q, "done").ID, 0) // the last worker lives
}

// The first process continues when the other one has completed the job.
func TestASuspendedWorkerChangesNothingWhenItContinues(t *testing.T) {
	t.Parallel()
	s := atWork(t, 1, "hold", "begun 1")
	s.w.signal(syscall.SIGSTOP)
	v := start(t, s.p, 1)
	v.hear("begun 2")
	v.tell(1)
	isDone(t, s.q, s.j.ID, 2)
	s.w.tell(1) // it is not asked first whether it still has the job
	s.w.signal(syscall.SIGCONT)
	s.w.hear("effect false fence false")
	if n := count(t, s.db, `SELECT attempt FROM effects`); n != 2 {
		t.Error("the effect is that of attempt", n)
	}
}

// The first process is suspended while it holds the row of the job. PostgreSQL ends its transaction.
func TestAWorkerThatIsSuspendedInATransactionHoldsUpNobodyForLong(t *testing.T) {
	t.Parallel()
	s := atWork(t, 1, "hold tx", "in transaction")
	s.w.signal(syscall.SIGSTOP)
	began := time.Now()
	suite.Work(t, s.q, 1, newRunner())
	other := submit(t, s.q, "done") // as long as a task that the suspended process was given
	isDone(t, s.q, other.ID, 0)
	t.Log("another job was done after", time.Since(began))
	isDone(t, s.q, s.j.ID, 2)
	t.Log("the job was done after", time.Since(began))
	s.w.tell(1)
	s.w.signal(syscall.SIGCONT)
	s.w.hear("effect false fence true") // asked before the transaction
	if n := count(t, s.db, `SELECT count(*) FROM effects WHERE job = $1`, s.j.ID); n != 1 {
		t.Error(n, "effects")
	}
}

func TestAWorkerThatTemporalDoesNotHearLosesItsJobs(t *testing.T) {
	t.Parallel()
	p := losing(t)
	witness(t, p)
	far := p
	line := database.NewNetwork(t, p.temporal)
	far.temporal = line.URL
	q := open(t, far)
	_, j, said := holding(t, q, q)
	line.Silence(true)
	began := time.Now()
	w := start(t, p, 1)
	if s := <-said; !strings.Contains(s, "no longer has the job") {
		t.Error(s)
	}
	t.Log("the run ended after", time.Since(began))
	w.hear("begun 2")
	t.Log("the job went on elsewhere after", time.Since(began))
	w.tell(20) // on a busy machine an attempt may be lost, and another one waits
	isDone(t, q, j.ID, 0)
	w.kill()
	line.Silence(false)
	began = time.Now()
	isDone(t, q, submit(t, q, "done").ID, 0)
	t.Log("the worker took a job again after", time.Since(began))
}

func TestARunOutlivesASilentDatabase(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	far := p
	line := database.NewNetwork(t, p.db)
	far.db = line.URL
	q := open(t, far)
	near := open(t, p)
	run, j, _ := holding(t, q, near)
	line.Silence(true)
	time.Sleep(2 * lease)
	run.told <- struct{}{}
	time.Sleep(time.Second)
	line.Silence(false)
	began := time.Now()
	isDone(t, near, j.ID, 1)
	t.Log("done after", time.Since(began))
}

func TestARunOutlivesARestartOfTheDatabase(t *testing.T) {
	t.Parallel()
	s := database.NewPostgres(t)
	p := place{db: s.URL, temporal: servers.Namespace(t)}
	witness(t, p)
	q := open(t, p)
	run := newRunner()
	suite.Work(t, q, 2, run)
	j := submit(t, q, "hold")
	until(t, q, j.ID, func(j job.Job) bool { return j.State == job.Running })
	must(t, s.Stop("immediate"))
	run.told <- struct{}{}
	time.Sleep(time.Second)
	must(t, s.Start())
	isDone(t, q, j.ID, 1)
}

func TestARunOutlivesARestartOfTemporal(t *testing.T) {
	t.Parallel()
	s := bed.New(t)
	p := place{db: databases.Postgres(t), temporal: s.Namespace(t), lease: lease}
	db := witness(t, p)
	q := open(t, p)
	run := newRunner()
	suite.Work(t, q, 4, run)
	all := []job.Job{submit(t, q, "hold"), submit(t, q, "hold parts 2")}
	for _, j := range all {
		until(t, q, j.ID, func(j job.Job) bool { return j.State == job.Running })
	}
	must(t, s.Kill())
	all = append(all, submit(t, q, "done")) // accepted without Temporal
	must(t, s.Start())
	run.tell("")
	for range 20 { // attempts that were lost meanwhile take some
		run.told <- struct{}{}
	}
	for _, j := range all {
		isDone(t, q, j.ID, 0)
	}
	if n := count(t, db, `SELECT count(*) FROM effects`); n != 4 {
		t.Error(n, "effects")
	}
}
