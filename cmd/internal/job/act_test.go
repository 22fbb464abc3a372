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
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// The test program runs itself as servers and workers, so that they can be killed.

const lease = time.Second // of the processes of these tests

// act is such a process. A server submits what it reads, a line with a key each, and says
// "accepted KEY ID" when that is durable. Both work until they are told to stop.
func act(role string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, q, err := enter(ctx, role)
	for until := time.Now().Add(time.Minute); fault.Is(err, fault.Unavailable) && time.Now().Before(until); {
		time.Sleep(100 * time.Millisecond) // it was started while the database was down
		db, q, err = enter(ctx, role)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	lines := make(chan string)
	go func() {
		defer stop() // a test that died leaves no process behind
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	if role == "server" {
		go serve(ctx, q, lines)
	}
	say("ready")
	return q.Work(ctx, 4, perform(lines, role))
}

func enter(ctx context.Context, role string) (*store.DB, *job.Queue, error) {
	db, err := store.Open(ctx, os.Getenv("DRAY_JOB_URL"))
	if err != nil {
		return nil, nil, err
	}
	q, err := job.Open(ctx, job.Config{DB: db, Owner: role, Lease: lease, Losses: 1 << 30, Grace: 2 * time.Second})
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

func perform(lines <-chan string, role string) job.Runner {
	return func(ctx context.Context, r *job.Run) job.Outcome {
		switch r.Job.Kind {
		case "ticks": // until it is canceled
			for i := 0; ; i++ {
				r.Emit("tick", nil)
				select {
				case <-ctx.Done():
					return job.Outcome{State: job.Failed, Failure: job.FailureOf(context.Cause(ctx))}
				case <-time.After(100 * time.Millisecond):
				}
			}
		case "held": // it asks before its effect, in the first process only
			say("begun", r.Job.Attempt)
			if role == "worker" {
				<-lines
			}
			err := effect(context.WithoutCancel(ctx), r)
			say("fence", job.FailureOf(err) == nil, job.FailureOf(r.Fence(context.WithoutCancel(ctx))) == nil)
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

// effect is done once: it looks whether it was done, as a copy looks at its target, and does it
// under the fence.
func effect(ctx context.Context, r *job.Run) error {
	return r.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO effects (job, attempt) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM effects WHERE job = $1)`, r.Job.ID, r.Job.Attempt)
		return err
	})
}

// witness makes the tables of effects and ends; a job that ends is written down by the database.
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
	said  chan string // but for what hear takes
}

// start starts a process; hear is told of each line "accepted …" or "refused …".
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

// up waits until it works.
func (n *node) up(t *testing.T) {
	t.Helper()
	select {
	case <-n.ready:
	case <-n.gone:
		t.Fatal("it ended by itself: ", n.cmd.ProcessState)
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
