//go:build unix

package store_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed/database"
)

// holderURL is the environment variable that makes the test program hold a lock in this database.
const holderURL = "DRAY_STORE_TEST_HOLD"

// hold takes the lock "head" in a transaction and says so. When its input ends, it commits a row that has
// the number of the attempt.
func hold(url string) int {
	ctx := context.Background()
	d, err := store.Open(ctx, url)
	if err == nil {
		defer d.Close()
		attempt := 0
		err = d.Tx(ctx, func(tx *sql.Tx) error {
			attempt++
			if err := d.Lock(ctx, tx, "head"); err != nil {
				return err
			}
			fmt.Println("held")
			_, _ = io.Copy(io.Discard, os.Stdin)
			return put(ctx, tx, "holder", attempt)
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestAProcessThatIsPausedInATransactionStopsTheOthersForSecondsOnly(t *testing.T) {
	t.Parallel()
	url := databases.Postgres(t)
	d := open(t, url)
	table(t, d)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderURL+"="+url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	said := bufio.NewReader(out)
	if _, err := said.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := d.Tx(t.Context(), func(tx *sql.Tx) error {
		return errors.Join(d.Lock(t.Context(), tx, "head"), put(t.Context(), tx, "other", 1))
	}); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("the other process waited for %s", took)
	}
	// When the paused process wakes up, its transaction has changed nothing and runs once more.
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go func() { _, _ = io.Copy(io.Discard, said) }()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var attempt int
	if err := d.QueryRowContext(t.Context(), `SELECT n FROM things WHERE name = 'holder'`).Scan(&attempt); err != nil || attempt != 2 {
		t.Error("attempt", attempt, err)
	}
}

func TestANetworkThatSwallowsEverythingIsNoticedWithoutADeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	n := database.NewNetwork(t, databases.Postgres(t))
	d := open(t, n.URL+"&statement_timeout=1000&connect_timeout=2")
	table(t, d)
	n.Silence(true)
	ended := make(chan error, 2)
	began := time.Now()
	go func() {
		var name string
		ended <- d.Explain("read", d.QueryRowContext(t.Context(), `SELECT name FROM things`).Scan(&name))
	}()
	go func() {
		ended <- d.Tx(t.Context(), func(tx *sql.Tx) error { return put(t.Context(), tx, "x", 1) })
	}()
	for range 2 {
		select {
		case err := <-ended:
			if !fault.Is(err, fault.Unavailable) {
				t.Error(err)
			}
		case <-time.After(60 * time.Second):
			t.Fatal("a statement waits for ever")
		}
	}
	t.Log("noticed after", time.Since(began))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began = time.Now()
	if _, err := d.ExecContext(ctx, `DELETE FROM things`); err == nil || time.Since(began) > 3*time.Second {
		t.Error(err, "after", time.Since(began))
	}
	n.Silence(false)
	if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return put(t.Context(), tx, "y", 1) }); err != nil {
		t.Error("after the network was mended:", err)
	}
}

func TestTheSettingsOfASessionAreOursUnlessTheAddressOrTheRoleHasThem(t *testing.T) {
	t.Parallel()
	url := databases.Postgres(t)
	setting := func(d *store.DB, name string) (value string) {
		t.Helper()
		if err := d.QueryRowContext(t.Context(), `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	d := open(t, url)
	for name, want := range map[string]string{"idle_in_transaction_session_timeout": "5s", "lock_timeout": "10s", "statement_timeout": "1min", "tcp_user_timeout": "20000", "application_name": "dray"} {
		if got := setting(d, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	own := open(t, url+"&lock_timeout=3s&statement_timeout=0&application_name=mine&keepalives_idle=30&tcp_user_timeout=9000")
	for name, want := range map[string]string{"idle_in_transaction_session_timeout": "5s", "lock_timeout": "3s", "statement_timeout": "0", "tcp_user_timeout": "9000", "application_name": "mine"} {
		if got := setting(own, name); got != want {
			t.Errorf("%s is %s, want %s of the address", name, got, want)
		}
	}
	if _, err := d.ExecContext(t.Context(), `ALTER DATABASE `+url[strings.LastIndex(url, "/")+1:strings.Index(url, "?")]+` SET lock_timeout = '7s'`); err != nil {
		t.Fatal(err)
	}
	if got := setting(open(t, url), "lock_timeout"); got != "7s" {
		t.Error("lock_timeout is", got, "and the database has 7s")
	}
}

func TestATransactionWhoseCommitWasNotConfirmedIsToldSo(t *testing.T) {
	t.Parallel()
	n := database.NewNetwork(t, databases.Postgres(t))
	d := open(t, n.URL)
	table(t, d)
	n.CutAfter("commit")
	err := d.Tx(t.Context(), func(tx *sql.Tx) error { return put(t.Context(), tx, "x", 1) })
	n.CutAfter("")
	if !errors.Is(err, store.ErrUncertain) || !strings.Contains(err.Error(), "may have taken effect") || !strings.Contains(fault.HintOf(err), "jobs list") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	if got := names(t, d); got != "x" {
		t.Error("the change has no effect:", got)
	}
}

func TestWhoWaitsForADatabaseGetsItWhenItAnswersAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	p := database.NewPostgres(t)
	if err := p.Stop("fast"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	got := make(chan error, 1)
	go func() {
		d, err := store.OpenWaiting(t.Context(), p.URL, slog.New(slog.NewTextHandler(&log, nil)))
		if err == nil {
			err = d.Close()
		}
		got <- err
	}()
	time.Sleep(2500 * time.Millisecond) // more than one attempt
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, "waiting for the database") != 1 || !strings.Contains(text, "check that PostgreSQL is running") || !strings.Contains(text, "the database answers") {
		t.Error(text)
	}
	// What waiting does not mend is told at once.
	silent := slog.New(slog.DiscardHandler)
	if _, err := store.OpenWaiting(t.Context(), strings.Replace(p.URL, "/postgres?", "/nowhere?", 1), silent); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if _, err := store.OpenWaiting(ctx, "postgres://dray@127.0.0.1:1/jobs", silent); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}
