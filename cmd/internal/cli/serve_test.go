package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drayage/dray/cmd/internal/cli/app"
)

// serve runs dray serve until the script ends or stops it.
func (s *script) serve(ts *testscript.TestScript, args []string) {
	name := args[0]
	listen := "127.0.0.1:0"
	if _, host, again := strings.Cut(ts.Getenv(name), "://"); again {
		listen = host
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, pipe := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := program(ctx, append([]string{"serve", "--listen", listen}, args[1:]...), app.IO{In: strings.NewReader(""), Out: pipe, Err: &stderr, Env: ts.Getenv, Home: ts.Getenv("HOME"), Verifier: verifier(ts)})
		pipe.Close()
		ended <- code
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cancel()
		ts.Fatalf("dray serve ended with %d\n%s", <-ended, &stderr)
	}
	go io.Copy(io.Discard, out)
	stop := sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != 0 {
			s.tb.Errorf("dray serve ended with %d\n%s", code, &stderr)
		}
	})
	s.servers[name] = stop
	ts.Defer(stop)
	if host := strings.TrimSpace(address); ts.Getenv(name) == "" {
		s.name(ts, name, "http://"+host)
		s.name(ts, name+"_host", host)
	}
}

func (s *script) halt(_ *testscript.TestScript, args []string) { s.servers[args[0]]() }

// record stores what was printed, such as an id or a token, in a variable.
func (s *script) record(ts *testscript.TestScript, args []string) {
	s.name(ts, args[0], strings.TrimSpace(string(s.stdout)))
}

func TestServeAnswersUntilItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, pipe := io.Pipe()
	ended := make(chan int)
	var err bytes.Buffer
	go func() {
		ended <- program(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()},
			app.IO{In: strings.NewReader(""), Out: pipe, Err: &err, Env: noEnv})
	}()
	address, rerr := bufio.NewReader(out).ReadString('\n')
	if rerr != nil {
		t.Fatal(rerr)
	}
	answer, gerr := http.Get("http://" + strings.TrimSpace(address) + "/v2/")
	if gerr != nil {
		t.Fatal(gerr)
	}
	answer.Body.Close()
	interrupt()
	if code := <-ended; code != 0 || answer.StatusCode != http.StatusOK {
		t.Errorf("code %d, status %d, stderr %s", code, answer.StatusCode, err.String())
	}
}
