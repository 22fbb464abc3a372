package app

import (
	"context"
	"io"
	"os"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
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

// Terminal describes the terminal of a run. The zero Terminal means that there is none: the streams are
// pipes or files, as in a CI job.
type Terminal struct {
	// Progress reports whether Err is a terminal, so that progress bars can be drawn on it.
	Progress bool
	// Width is the number of columns of Out; 0 means that Out is not a terminal.
	Width int
	// Password reads a line of In without echo; nil when nobody can be asked. It returns when
	// its context ends.
	Password func(context.Context) ([]byte, error)
}

// App is one run of the command line.
type App struct {
	out.Console
	Common flag.Common
	IO     IO
	Args   []string
}

// New begins a run of the command line.
func New(args []string, io IO) *App {
	return &App{IO: io, Args: args, Console: out.Console{Out: io.Out, Err: io.Err, Terminal: io.Terminal.Progress, Relay: new(out.Relay)}}
}
