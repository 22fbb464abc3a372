package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/serving"
)

// TestMain is dray itself where the test program is called so: shell scripts run it by a link.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "dray" {
		os.Exit(m.Run())
	}
	os.Exit(program(context.Background(), os.Args[1:], app.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: os.Getenv("HOME"),
	}))
}

// noEnv is a world without variables.
func noEnv(string) string { return "" }

// program is cli.Main of a program that is dray and drayd.
func program(ctx context.Context, args []string, world app.IO) int {
	world.Serving = serving.New()
	return cli.Main(ctx, args, world)
}
