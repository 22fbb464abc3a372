package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
)

// served serves h with places for most connections, and returns its address.
func served(t *testing.T, most int, log io.Writer, h http.HandlerFunc) string {
	t.Helper()
	_, addr := entered(t, most, log, h)
	return addr
}

func entered(t *testing.T, most int, log io.Writer, h http.HandlerFunc) (*Guests, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config.Handler = h
	own := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	g := New(most, slog.New(slog.NewTextHandler(log, nil)))
	l := g.Serve(own, s.Listener)
	done := make(chan error, 1)
	go func() { done <- own.Serve(l) }()
	t.Cleanup(func() {
		own.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g, l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// ask sends a request over conn and returns the status of the answer.
func ask(conn net.Conn) (int, error) {
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

func TestTheConnectionThatWaitsLongestGivesWay(t *testing.T) {
	var log strings.Builder
	addr := served(t, 3, &log, func(http.ResponseWriter, *http.Request) {})
	conns := make([]net.Conn, 5)
	for i := range conns {
		conns[i] = dial(t, addr)
		if got, err := ask(conns[i]); got != 200 {
			t.Fatal(i, got, err)
		}
	}
	for i, conn := range conns {
		if got, err := ask(conn); (got == 200) != (i >= 2) {
			t.Errorf("%d: %d %v", i, got, err)
		}
	}
	if got := strings.Count(log.String(), "all connections are taken"); got != 1 {
		t.Error(got, log.String())
	}
}

func TestConnectionsWithoutARequestGiveWayToThoseThatHaveOne(t *testing.T) {
	addr := served(t, 4, io.Discard, func(http.ResponseWriter, *http.Request) {})
	for range 4 {
		fmt.Fprint(dial(t, addr), "GET / HTTP/1.1\r\nX-Slow: ")
	}
	for i := range 4 {
		if got, err := ask(dial(t, addr)); got != 200 {
			t.Fatal(i, got, err)
		}
	}
}

func TestAConnectionWaitsWhileAllOthersAreAtWork(t *testing.T) {
	release, at := make(chan struct{}), make(chan struct{}, 3)
	guests, addr := entered(t, 2, io.Discard, func(http.ResponseWriter, *http.Request) { at <- struct{}{}; <-release })
	answers := make(chan error, 3)
	for range 3 {
		conn := dial(t, addr)
		go func() {
			got, err := ask(conn)
			if err == nil && got != 200 {
				err = fmt.Errorf("status %d", got)
			}
			answers <- err
		}()
	}
	<-at
	<-at
	for !guests.waits.Load() {
		runtime.Gosched()
	}
	close(release)
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// A listener that is closed lets nobody wait.
func TestAWaitForAPlaceEndsWithTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, closed := New(1, slog.New(slog.DiscardHandler)), make(chan struct{})
		a, _ := net.Pipe()
		b, _ := net.Pipe()
		if !g.enter(a, closed) {
			t.Fatal("there is a place")
		}
		g.state(a, http.StateActive)
		time.AfterFunc(time.Hour, func() { close(closed) })
		if from := time.Now(); g.enter(b, closed) || time.Since(from) != time.Hour {
			t.Error("entered")
		}
	})
}

func TestTheFilesOfAServerAreDivided(t *testing.T) {
	const plenty = 1 << 62
	for files, want := range map[Files][2]int{0: {1 << 20, 0}, 64: {8, 16}, 1024: {384, 256}, 65536: {32640, 16384}} {
		if got := [2]int{files.Most(plenty), files.Jobs()}; got != want {
			t.Errorf("%d: %v, want %v", files, got, want)
		}
	}
	if got := Files(65536).Most(128 << 20); got != 1024 {
		t.Error(got)
	}
	if err := Files(63).Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "63 files") || fault.HintOf(err) == "" {
		t.Error(err)
	}
	if err := Files(64).Check(); err != nil {
		t.Error(err)
	}
}
