package app

import (
	"context"
	"io"
	"net"
	"os"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/ref"
)

// IO holds everything that a command gets from its process. Tests replace it.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	Env  func(string) string // reads a variable, as os.Getenv does
	Home string              // the home directory of the user; "" if there is none
	Run  string              // podman's run directory if $XDG_RUNTIME_DIR is not set; "" if there is none

	// Files is how many files and connections this process may have open at the same time; 0 means that nobody knows.
	Files int

	// Dial opens network connections; nil means the network of the system.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Terminal Terminal

	// Hangup returns a channel that gets a value for each SIGHUP, which asks the process to read its
	// files again, until the context ends. nil means that there is no such signal.
	Hangup func(context.Context) <-chan os.Signal

	// Serving has the functions of a server, if this program links them; nil means that Drayd does
	// their work.
	Serving *Serving
	// Drayd runs the program drayd with these arguments and returns its exit code. It does not return
	// if this process becomes drayd.
	Drayd func(ctx context.Context, args []string) (int, error)
	// Verifier finds the program that verifies signatures; nil means that this program does not know one.
	Verifier func() (path string, err error)
	// Only names the commands that this program has; nil means all.
	Only []string
}

// App is one run of the command line.
type App struct {
	out.Console
	Common flag.Common
	IO     IO
	Args   []string

	yielded ref.Repo // the archive that the standard output is left to, or the zero value
}

// New begins a run of the command line.
func New(args []string, io IO) *App {
	return &App{
		IO:   io,
		Args: args,
		Console: out.Console{
			Out: visible.NewWriter(io.Out), Err: visible.NewWriter(io.Err),
			OutTerminal: io.Terminal.Width > 0, Terminal: io.Terminal.Progress, Relay: new(out.Relay),
		},
	}
}
