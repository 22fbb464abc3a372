package app

import (
	"context"
	"os"

	"golang.org/x/term"
)

// TerminalOf looks whether a person sits at in and err.
func TerminalOf(in, err *os.File) Terminal {
	t := Terminal{Progress: term.IsTerminal(int(err.Fd()))}
	if fd := int(in.Fd()); term.IsTerminal(fd) {
		t.Password = func(ctx context.Context) ([]byte, error) { return readPassword(ctx, fd) }
	}
	return t
}

// readPassword gives the terminal its echo back when ctx ends first.
func readPassword(ctx context.Context, fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = term.Restore(fd, before) })
	defer stop()
	return Patiently(ctx, 0, func() ([]byte, error) { return term.ReadPassword(fd) })
}
