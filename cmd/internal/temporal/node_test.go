//go:build unix

package temporal_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
)

// node is a worker in a process of its own.
type node struct {
	tb   testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	said chan string
	gone chan struct{}
}

func start(tb testing.TB, p place, slots int) *node {
	tb.Helper()
	n := &node{tb: tb, cmd: exec.Command(os.Args[0]), said: make(chan string, 10_000), gone: make(chan struct{})}
	n.cmd.Env = append(os.Environ(), "DRAY_TEMPORAL_ACT="+p.temporal, "DRAY_TEMPORAL_DB="+p.db, "DRAY_TEMPORAL_SLOTS="+strconv.Itoa(slots),
		"DRAY_TEMPORAL_LEASE="+p.lease.String())
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	must(tb, err)
	n.in, err = n.cmd.StdinPipe()
	must(tb, err)
	must(tb, n.cmd.Start())
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n.said <- lines.Text()
		}
		_ = n.cmd.Wait()
		close(n.gone)
	}()
	tb.Cleanup(n.kill)
	return n
}

// hear waits for the next line that the node says.
func (n *node) hear(want string) {
	n.tb.Helper()
	for {
		select {
		case line := <-n.said:
			if line == want {
				return
			}
			n.tb.Log("said: ", line)
		case <-time.After(time.Minute):
			n.tb.Fatalf("not heard: %q", want)
		}
	}
}

// next returns the next line that the node says.
func (n *node) next() string {
	n.tb.Helper()
	select {
	case line := <-n.said:
		return line
	case <-time.After(time.Minute):
		n.tb.Fatal("nothing heard")
		return ""
	}
}

// tell lets as many runs that hold go on.
func (n *node) tell(times int) {
	for range times {
		if _, err := io.WriteString(n.in, "\n"); err != nil {
			n.tb.Error(err)
		}
	}
}

func (n *node) signal(s syscall.Signal) {
	if err := n.cmd.Process.Signal(s); err != nil {
		n.tb.Error(err)
	}
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	<-n.gone
}

// witness creates the table in which jobs leave their effects.
func witness(tb testing.TB, p place) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), p.db)
	must(tb, err)
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	_, err = db.ExecContext(tb.Context(), `CREATE TABLE effects (job TEXT NOT NULL, part BIGINT NOT NULL, attempt BIGINT NOT NULL)`)
	must(tb, err)
	return db
}

func count(tb testing.TB, db *store.DB, query string, args ...any) (n int) {
	tb.Helper()
	must(tb, db.QueryRowContext(tb.Context(), query, args...).Scan(&n))
	return n
}
