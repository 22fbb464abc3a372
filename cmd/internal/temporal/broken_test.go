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
	"github.com/drayage/dray/cmd/internal/temporal"
	"github.com/drayage/dray/internal/testbed/database"
	bed "github.com/drayage/dray/internal/testbed/temporal"
)

func TestTheJobOfAKilledWorkerGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q := open(t, p)
	w := start(t, p, 2)
	w.hear("up")
	whole := submit(t, q, "hold")
	w.hear("begun 1")
	parts := submit(t, q, "hold parts 1")
	w.hear("begun part 1")
	v := start(t, p, 2)
	v.hear("up")
	w.kill()
	began := time.Now()
	said := v.next() + ", " + v.next()
	t.Log("going on after", time.Since(began), said)
	v.tell(20)
	for _, j := range []job.Job{whole, parts} {
		if j = ended(t, q, j.ID); j.State != job.Done {
			t.Error(j)
		}
	}
	if n := count(t, db, `SELECT count(*) FROM effects`); n != 2 {
		t.Error(n, "effects")
	}
}

func TestAJobThatKillsThreeWorkersThatRunItAloneIsFailed(t *testing.T) {
	t.Parallel()
	if os.Getenv("DRAY_SOAK") == "" {
		t.Skip("SKIPPED: it takes half a minute; make soak runs it")
	}
	p := here(t)
	witness(t, p)
	q := open(t, p, func(c *temporal.Config) { c.Lease = 8 * time.Second }) // a worker is dead after 6 s
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
	if j := ended(t, q, submit(t, q, "done").ID); j.State != job.Done { // the last worker lives
		t.Error(j)
	}
}

// The first process continues when the other one has completed the job.
func TestASuspendedWorkerChangesNothingWhenItContinues(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q := open(t, p)
	w := start(t, p, 1)
	w.hear("up")
	j := submit(t, q, "hold")
	w.hear("begun 1")
	w.signal(syscall.SIGSTOP)
	v := start(t, p, 1)
	v.hear("begun 2")
	v.tell(1)
	if j = ended(t, q, j.ID); j.State != job.Done || j.Attempt != 2 {
		t.Error(j)
	}
	w.tell(1) // it is not asked first whether it still has the job
	w.signal(syscall.SIGCONT)
	w.hear("effect false fence false")
	if n := count(t, db, `SELECT attempt FROM effects`); n != 2 {
		t.Error("the effect is that of attempt", n)
	}
}

// The first process is suspended while it holds the row of the job. PostgreSQL ends its transaction.
func TestAWorkerThatIsSuspendedInATransactionHoldsUpNobodyForLong(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q := open(t, p)
	w := start(t, p, 1)
	w.hear("up")
	j := submit(t, q, "hold tx")
	w.hear("in transaction")
	w.signal(syscall.SIGSTOP)
	began := time.Now()
	suite.Work(t, q, 1, newRunner())
	other := submit(t, q, "done") // as long as a task that the suspended process was given
	if j := ended(t, q, other.ID); j.State != job.Done {
		t.Error(j)
	}
	t.Log("another job was done after", time.Since(began))
	if j = ended(t, q, j.ID); j.State != job.Done || j.Attempt != 2 {
		t.Error(j)
	}
	t.Log("the job was done after", time.Since(began))
	w.tell(1)
	w.signal(syscall.SIGCONT)
	w.hear("effect false fence true") // asked before the transaction
	if n := count(t, db, `SELECT count(*) FROM effects WHERE job = $1`, j.ID); n != 1 {
		t.Error(n, "effects")
	}
}

func TestAWorkerThatTemporalDoesNotHearLosesItsJobs(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	far := p
	var line *proxy
	line, far.temporal = through(t, p.temporal)
	q := open(t, far)
	run := newRunner()
	said := make(chan string, 100)
	run.say = func(s string) { said <- s }
	suite.Work(t, q, 1, run)
	j := submit(t, q, "hold")
	<-said
	line.silence(true)
	began := time.Now()
	w := start(t, p, 1)
	if s := <-said; !strings.Contains(s, "no longer has the job") {
		t.Error(s)
	}
	t.Log("the run ended after", time.Since(began))
	w.hear("begun 2")
	t.Log("the job went on elsewhere after", time.Since(began))
	w.tell(20) // on a busy machine an attempt may be lost, and another one waits
	if j = ended(t, q, j.ID); j.State != job.Done {
		t.Error(j)
	}
	w.kill()
	line.silence(false)
	began = time.Now()
	if j := ended(t, q, submit(t, q, "done").ID); j.State != job.Done {
		t.Error(j)
	}
	t.Log("the worker took a job again after", time.Since(began))
}

func TestARunOutlivesASilentDatabase(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	far := p
	var line *proxy
	line, far.db = through(t, p.db)
	q := open(t, far, func(c *temporal.Config) { c.Lease = time.Minute }) // a busy machine is not what is tested
	near := open(t, p)
	run := newRunner()
	said := make(chan string, 100)
	run.say = func(s string) { said <- s }
	suite.Work(t, q, 1, run)
	j := submit(t, near, "hold")
	<-said
	line.silence(true)
	time.Sleep(2 * lease)
	run.told <- struct{}{}
	time.Sleep(time.Second)
	line.silence(false)
	began := time.Now()
	if j = ended(t, near, j.ID); j.State != job.Done || j.Attempt != 1 {
		t.Error(j)
	}
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
	if j = ended(t, q, j.ID); j.State != job.Done || j.Attempt != 1 {
		t.Error(j)
	}
}

func TestARunOutlivesARestartOfTemporal(t *testing.T) {
	t.Parallel()
	s := bed.New(t)
	p := place{db: databases.Postgres(t), temporal: s.Namespace(t)}
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
		if j = ended(t, q, j.ID); j.State != job.Done {
			t.Error(j)
		}
	}
	if n := count(t, db, `SELECT count(*) FROM effects`); n != 4 {
		t.Error(n, "effects")
	}
}
