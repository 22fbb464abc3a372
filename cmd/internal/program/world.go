package program

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/drayage/dray/cmd/internal/cli/app"
)

// World returns the streams, the environment and the signals of this process for a command. It also
// silences the standard logger: net/http and other libraries write to it what dray does not say, such as
// bytes that a registry sends unasked.
func World() app.IO {
	log.SetOutput(io.Discard)
	home, _ := os.UserHomeDir() // "" means that there is no home directory
	run := ""
	if runtime.GOOS == "linux" {
		run = fmt.Sprintf("/run/containers/%d", os.Getuid())
	}
	return app.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Home: home,
		Run: run, Files: files(), Terminal: app.TerminalOf(os.Stdin, os.Stdout, os.Stderr), Hangup: hangup,
	}
}

// Interruptible returns a context that the first SIGINT or SIGTERM ends. A second signal kills the
// process, but not while the echo of the terminal t is off.
func Interruptible(t app.Terminal) context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		if t.Settle != nil {
			t.Settle()
		}
		stop()
	})
	return ctx
}

// hangup catches SIGHUP until ctx ends. SIGHUP ends a command that does not call it, for example when
// its terminal is closed.
func hangup(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(c) })
	return c
}
