package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestMain is dray itself where the test program is called so: shell scripts run it by a link.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "dray" {
		os.Exit(m.Run())
	}
	os.Exit(Main(context.Background(), os.Args[1:], IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: os.Getenv("HOME"),
	}))
}
