package cli_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/serving"
	"github.com/drayage/dray/internal/testbed/canary"
	"github.com/drayage/dray/internal/testbed/temporal"
)

// TestMain runs dray if the test program is called dray, since shell scripts run it by a link of that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "dray" {
		code := m.Run()
		engines.End()
		os.Exit(leaks.report(code))
	}
	os.Exit(leaks.report(program(context.Background(), os.Args[1:], app.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: os.Getenv("HOME"),
	})))
}

// engines has the Temporal that the tests share.
var engines temporal.Servers

// leaks has what the commands of all tests wrote that is secret.
var leaks leaked

type leaked struct {
	mu  sync.Mutex
	all []string
}

func (l *leaked) add(args []string, stream string, found []canary.Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range found {
		l.all = append(l.all, fmt.Sprintf("%s of dray %s: %s", stream, strings.Join(args, " "), f))
	}
}

// report returns the exit code of a test program whose tests ended with code.
func (l *leaked) report(code int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, leak := range l.all {
		fmt.Fprintf(os.Stderr, "canary: %s\n", leak)
		code = 99
	}
	return code
}

// noEnv is an environment without variables.
func noEnv(string) string { return "" }

// program is cli.Main of a program that has the functions of both dray and drayd. What it writes is searched for secrets.
func program(ctx context.Context, args []string, world app.IO) int {
	world.Serving = serving.New()
	out, err := &canary.Tap{To: world.Out}, &canary.Tap{To: world.Err}
	world.Out, world.Err = out, err
	code := cli.Main(ctx, args, world)
	leaks.add(args, "stderr", err.Found())
	if !canary.Shows(args) {
		leaks.add(args, "stdout", out.Found())
	}
	return code
}

// hide is the app.Terminal.Hide of a terminal that shows nothing anyway.
func hide(context.Context) (show func(), err error) { return func() {}, nil }
