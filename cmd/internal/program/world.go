package program

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/drayage/dray/cmd/internal/cli/app"
)

// World is this process as a command sees it.
func World() app.IO {
	home, _ := os.UserHomeDir() // "" is none
	run := ""
	if runtime.GOOS == "linux" {
		run = fmt.Sprintf("/run/containers/%d", os.Getuid())
	}
	return app.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: home,
		Run: run, Terminal: app.TerminalOf(os.Stdin, os.Stdout, os.Stderr), Hangup: hangup,
	}
}

// Interruptible is a context that the first SIGINT or SIGTERM ends; a second one kills.
func Interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// hangup catches SIGHUP until ctx ends. Commands that do not ask for it end by it, as when
// their terminal is closed.
func hangup(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(c) })
	return c
}
