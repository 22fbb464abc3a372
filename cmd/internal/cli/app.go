package cli

import (
	"context"
	"io"
	"os"
)

// IO is the world as a command sees it.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	Env  func(string) string // how variables are read, as os.Getenv
	Home string              // the user's home directory; "" for none
	Run  string              // podman's run directory where $XDG_RUNTIME_DIR is unset; "" for none

	Terminal Terminal

	// Hangup sends when the process is asked to read its files again, by SIGHUP, until the
	// context ends; nil never does.
	Hangup func(context.Context) <-chan os.Signal

	// Serving is what serve and worker do in this process; nil leaves them to Drayd.
	Serving *Serving
	// Drayd carries out the command of these arguments in drayd and returns its exit code,
	// unless the process becomes drayd.
	Drayd func(ctx context.Context, args []string) (int, error)
	// Only names the commands that there are; nil is all.
	Only []string
}

// Terminal holds what is known of the terminal. The zero Terminal is none: a pipe, a file, a CI log.
type Terminal struct {
	// Progress says that Err is a terminal: bars can be drawn.
	Progress bool
	// Password reads a line of In without echo; nil when nobody can be asked. It returns when
	// its context ends.
	Password func(context.Context) ([]byte, error)
}

// app is one run of the command line.
type app struct {
	console
	common common
	IO     IO
	args   []string
}

func newApp(args []string, io IO) *app {
	return &app{IO: io, args: args, console: console{out: io.Out, err: io.Err, terminal: io.Terminal.Progress}}
}
