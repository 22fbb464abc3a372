//go:build unix

package job_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// The test program starts itself as servers and workers, so that a test can kill them.

// act is the main function of such a process. A server reads keys, one a line, and submits a job for
// each. It prints "accepted KEY ID" when the job is durable. Both a server and a worker run jobs until
// they are stopped.
func act(role string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, q, err := enter(ctx, role)
	for until := time.Now().Add(time.Minute); fault.Is(err, fault.Unavailable) && time.Now().Before(until); {
		time.Sleep(100 * time.Millisecond) // the database is not reachable yet
		db, q, err = enter(ctx, role)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	lines := make(chan string)
	go func() {
		defer stop() // stdin is closed if the test dies, and then this process ends too
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	if role == "server" {
		go serve(ctx, q, lines)
	}
	say("ready")
	return q.Work(ctx, 4, suite.Func(perform(lines, role)))
}

func enter(ctx context.Context, role string) (*store.DB, *job.Queue, error) {
	db, err := store.Open(ctx, os.Getenv("DRAY_JOB_URL"))
	if err != nil {
		return nil, nil, err
	}
	q, err := job.Open(ctx, job.Config{DB: db, Owner: role, Grace: 2 * time.Second})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, q, nil
}

var saying sync.Mutex

func say(words ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Fprintln(os.Stdout, words...)
}

func serve(ctx context.Context, q *job.Queue, keys <-chan string) {
	for key := range keys {
		go func() {
			j, _, err := q.Submit(ctx, job.Submission{Kind: "effect", Principal: "p" + key[:1], Request: json.RawMessage(`{"key":"` + key + `"}`), Key: key})
			if err != nil {
				fmt.Fprintln(os.Stderr, "submit:", err)
				say("refused", key)
				return
			}
			say("accepted", key, j.ID)
		}()
	}
}

func perform(lines <-chan string, role string) func(context.Context, *job.Run) job.Outcome {
	return func(ctx context.Context, r *job.Run) job.Outcome {
		switch r.Job.Kind {
		case "ticks": // emits events until it is canceled
			for i := 0; ; i++ {
				r.Emit("tick", nil)
				select {
				case <-ctx.Done():
					return job.Outcome{State: job.Failed, Failure: job.FailureOf(context.Cause(ctx))}
				case <-time.After(100 * time.Millisecond):
				}
			}
		case "held": // in a worker, waits for a line before its effect
			say("begun", r.Job.Attempt)
			if role == "worker" {
				<-lines
			}
			err := effect(context.WithoutCancel(ctx), r)
			say("effect", job.FailureOf(err) == nil, "fence", job.FailureOf(r.Fence(context.WithoutCancel(ctx))) == nil)
			return job.Outcome{State: job.Done, Report: json.RawMessage(`"` + role + `"`)}
		}
		for range rand.IntN(4) {
			_ = r.Item(ctx, json.RawMessage(`{}`))
			r.Log("a line")
			r.Progress(json.RawMessage(`{"p":1}`))
			time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
		}
		if err := effect(ctx, r); err != nil {
			return job.Outcome{State: job.Waiting, Failure: job.FailureOf(err)}
		}
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
		return job.Outcome{State: job.Done, Report: json.RawMessage(`{}`)}
	}
}

// effect takes effect once per job. It checks whether it was already done, as a copy checks its target,
// and is done in a transaction with the fence.
func effect(ctx context.Context, r *job.Run) error {
	return r.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO effects (job, attempt) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM effects WHERE job = $1)`, r.Job.ID, r.Job.Attempt)
		return err
	})
}

// witness creates the tables effects and ends, and a trigger that records each job that ends.
func witness(t *testing.T, url string) {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	must(t, err)
	defer db.Close()
	open(t, url, job.Config{DB: db})
	say := []string{`CREATE TABLE effects (job TEXT NOT NULL, attempt BIGINT NOT NULL)`, `CREATE INDEX effects_job ON effects (job)`, `CREATE TABLE ends (job TEXT NOT NULL)`}
	if db.Postgres() {
		say = append(say, `CREATE FUNCTION ended() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ends VALUES (NEW.id); RETURN NEW; END'`,
			`CREATE TRIGGER ends AFTER UPDATE OF state ON jobs FOR EACH ROW WHEN (NEW.ended > 0) EXECUTE FUNCTION ended()`)
	} else {
		say = append(say, `CREATE TRIGGER ends AFTER UPDATE OF state ON jobs WHEN NEW.ended > 0 BEGIN INSERT INTO ends VALUES (NEW.id); END`)
	}
	for _, s := range say {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// node is a process of the test program.
type node struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	ready chan struct{}
	gone  chan struct{}
	said  chan string // the lines that it prints, except those that hear receives
}

// start starts a process. hear is called with each line "accepted …" or "refused …".
func start(t *testing.T, role, url string, hear func(line string)) *node {
	t.Helper()
	n := &node{cmd: exec.Command(os.Args[0], "-test.run=^$"), ready: make(chan struct{}), gone: make(chan struct{}), said: make(chan string, 100)}
	n.cmd.Env = append(os.Environ(), "DRAY_JOB_ROLE="+role, "DRAY_JOB_URL="+url)
	n.cmd.Stderr = os.Stderr
	in, err := n.cmd.StdinPipe()
	must(t, err)
	n.in = in
	out, err := n.cmd.StdoutPipe()
	must(t, err)
	must(t, n.cmd.Start())
	go func() {
		defer close(n.gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch line := lines.Text(); {
			case line == "ready":
				close(n.ready)
			case hear != nil && (strings.HasPrefix(line, "accepted ") || strings.HasPrefix(line, "refused ")):
				hear(line)
			default:
				n.said <- line
			}
		}
		_ = n.cmd.Wait()
	}()
	t.Cleanup(func() { n.kill() })
	return n
}

// up waits until the process is ready.
func (n *node) up(t *testing.T) {
	t.Helper()
	select {
	case <-n.ready:
	case <-n.gone:
		t.Fatal("the process ended before it was ready: ", n.cmd.ProcessState)
	}
}

func (n *node) signal(s syscall.Signal) { _ = n.cmd.Process.Signal(s) }

func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	<-n.gone
}

func (n *node) stop() {
	n.signal(syscall.SIGCONT)
	n.signal(syscall.SIGTERM)
	<-n.gone
}
