// Command dray imports, copies and re-tags container images between registries.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/drayage/dray/cmd/internal/cli"
)

func main() {
	collectLater()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	home, _ := os.UserHomeDir()  // "" is none
	run := ""
	if runtime.GOOS == "linux" {
		run = fmt.Sprintf("/run/containers/%d", os.Getuid())
	}
	os.Exit(cli.Main(ctx, os.Args[1:], cli.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: home,
		Run: run, Terminal: cli.TerminalOf(os.Stdin, os.Stderr), Hangup: hangup,
	}))
}

// collectLater lets the heap grow to 16 MiB before garbage is collected, for a tenth of a second:
// a small command is over by then, and one collection would take a sixth of its time.
func collectLater() {
	percent := debug.SetGCPercent(400)
	time.AfterFunc(100*time.Millisecond, func() { debug.SetGCPercent(percent) })
}

// hangup catches SIGHUP until ctx ends. Commands that do not ask for it end by it, as when
// their terminal is closed.
func hangup(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(c) })
	return c
}
