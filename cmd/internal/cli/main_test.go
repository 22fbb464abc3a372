package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/serving"
	"github.com/drayage/dray/internal/testbed/temporal"
)

// TestMain runs dray if the test program is called dray, since shell scripts run it by a link of that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "dray" {
		code := m.Run()
		engines.End()
		os.Exit(code)
	}
	os.Exit(program(context.Background(), os.Args[1:], app.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: os.Getenv("HOME"),
	}))
}

// engines has the Temporal that the tests share.
var engines temporal.Servers

// noEnv is an environment without variables.
func noEnv(string) string { return "" }

// program is cli.Main of a program that has the functions of both dray and drayd.
func program(ctx context.Context, args []string, world app.IO) int {
	world.Serving = serving.New()
	return cli.Main(ctx, args, world)
}

// hide is the app.Terminal.Hide of a terminal that shows nothing anyway.
func hide(context.Context) (show func(), err error) { return func() {}, nil }
