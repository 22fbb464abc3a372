package app

import (
	"context"
	"os"

	"golang.org/x/term"
)

// TerminalOf reports which of the standard streams in, out and err are terminals, and what these can do.
func TerminalOf(in, out, err *os.File) Terminal {
	t := Terminal{Progress: term.IsTerminal(int(err.Fd()))}
	if columns, _, err := term.GetSize(int(out.Fd())); err == nil {
		t.Width = columns
	}
	if fd := int(in.Fd()); term.IsTerminal(fd) {
		t.Password = func(ctx context.Context) ([]byte, error) { return readPassword(ctx, fd) }
	}
	return t
}

// readPassword reads a line without echo. If ctx ends first, it turns the echo on again.
func readPassword(ctx context.Context, fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = term.Restore(fd, before) })
	defer stop()
	return Patiently(ctx, 0, func() ([]byte, error) { return term.ReadPassword(fd) })
}
