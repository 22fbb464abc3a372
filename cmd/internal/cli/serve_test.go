package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
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
		code := Main(ctx, append([]string{"serve", "--listen", listen}, args[1:]...), IO{In: strings.NewReader(""), Out: pipe, Err: &stderr, Env: ts.Getenv, Home: ts.Getenv("HOME")})
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

// record keeps what was printed, such as an id or a token.
func (s *script) record(ts *testscript.TestScript, args []string) {
	s.name(ts, args[0], strings.TrimSpace(string(s.stdout)))
}
