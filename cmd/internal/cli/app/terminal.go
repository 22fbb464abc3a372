package app

import (
	"context"
	"os"

	"golang.org/x/term"
)

// Terminal describes the terminal of a run. The zero Terminal means that there is none: the streams are
// pipes or files, as in a CI job.
type Terminal struct {
	// Progress reports whether Err is a terminal, so that progress bars can be drawn on it.
	Progress bool
	// Width is the number of columns of Out; 0 means that Out is not a terminal.
	Width int
	// Hide turns the echo of In off, and returns a function that turns it on again. It returns an error if
	// its context has ended. nil means that In is not a terminal.
	Hide func(context.Context) (show func(), err error)
	// Settle returns when the echo of In is on. From then on, Hide waits for the end of its context. A
	// process settles its terminal before it lets a signal kill it. nil means that there is nothing to settle.
	Settle func()
}

// TerminalOf reports which of the standard streams in, out and err are terminals, and what these can do.
func TerminalOf(in, out, err *os.File) Terminal {
	t := Terminal{Progress: term.IsTerminal(int(err.Fd()))}
	if columns, _, err := term.GetSize(int(out.Fd())); err == nil {
		t.Width = columns
	}
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		return t
	}
	hidden := make(chan struct{}, 1) // holds a value while the echo is off, and for ever after Settle
	t.Hide = func(ctx context.Context) (func(), error) {
		select {
		case hidden <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		before, err := term.GetState(fd)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = echoOff(fd)
		}
		if err != nil {
			<-hidden
			return nil, err
		}
		return func() {
			_ = term.Restore(fd, before) // it worked a moment ago, or the terminal is gone
			<-hidden
		}, nil
	}
	t.Settle = func() { hidden <- struct{}{} }
	return t
}
