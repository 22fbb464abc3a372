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
)

// The test program starts itself as servers, so that a test can kill them.

// act is the main function of such a process. It reads keys, one a line, and submits a job for each. It prints
// "accepted KEY ID" when the job is durable. It runs jobs until it is stopped, and prints "performed ID" after each run.
func act(url string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, err := store.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	q, err := job.Open(ctx, job.Config{DB: db, Owner: "server", Grace: 2 * time.Second})
	if err != nil {
		return err
	}
	keys := make(chan string)
	go func() {
		defer stop() // stdin is closed if the test dies, and then this process ends too
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			keys <- in.Text()
		}
	}()
	go serve(ctx, q, keys)
	say("ready")
	return q.Work(ctx, 4, suite.Func(func(ctx context.Context, r *job.Run) job.Outcome {
		out := perform(ctx, r)
		say("performed", r.Job.ID)
		return out
	}))
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

func perform(ctx context.Context, r *job.Run) job.Outcome {
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
	say := []string{
		`CREATE TABLE effects (job TEXT NOT NULL, attempt BIGINT NOT NULL)`, `CREATE INDEX effects_job ON effects (job)`, `CREATE TABLE ends (job TEXT NOT NULL)`,
		`CREATE TRIGGER ends AFTER UPDATE OF state ON jobs WHEN NEW.ended > 0 BEGIN INSERT INTO ends VALUES (NEW.id); END`,
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
	ran   chan struct{} // receives for each job that it has performed
	gone  chan struct{}
}

// start starts a process. hear is called with each line "accepted …" or "refused …", if it is not nil.
func start(t *testing.T, url string, hear func(line string)) *node {
	t.Helper()
	n := &node{cmd: exec.Command(os.Args[0], "-test.run=^$"), ready: make(chan struct{}), ran: make(chan struct{}, 10_000), gone: make(chan struct{})}
	n.cmd.Env = append(os.Environ(), "DRAY_JOB_URL="+url)
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
			line := lines.Text()
			switch word, _, _ := strings.Cut(line, " "); {
			case word == "ready":
				close(n.ready)
			case word == "performed":
				n.ran <- struct{}{}
			case hear != nil:
				hear(line)
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
	n.until(t, n.ready)
}

func (n *node) until(t *testing.T, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-n.gone:
		t.Fatal("the process ended too early: ", n.cmd.ProcessState)
	}
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	<-n.gone
}

func (n *node) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	<-n.gone
}
