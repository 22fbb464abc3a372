package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// Question is a question to a person at the terminal.
type Question struct {
	Text string // what is written, with a blank at its end
	Op   string // what an error says was done, such as "read user"
	Hint string // how to do without the question
}

// Ask writes a question on stderr, since stdout is for the answer, and returns the line that a person types.
// An interrupt, also the closing of the terminal, is an error of kind Canceled. The end of the input without
// a line is one of kind Invalid.
func (a *App) Ask(ctx context.Context, q Question) (string, error) {
	return a.ask(ctx, q, func(context.Context) (func(), error) { return func() {}, nil })
}

// AskHidden is Ask for a secret: what is typed is not shown.
func (a *App) AskHidden(ctx context.Context, q Question) (string, error) {
	return a.ask(ctx, q, func(ctx context.Context) (func(), error) {
		show, err := a.IO.Terminal.Hide(ctx)
		if err != nil {
			return nil, err
		}
		return func() {
			show()
			a.Prompt("\n") // the line end that was typed is not shown either
		}, nil
	})
}

// maxAnswer limits the line that a person types, in bytes.
const maxAnswer = 4096

func (a *App) ask(
	ctx context.Context, q Question, begin func(context.Context) (end func(), err error),
) (string, error) {
	ctx, stop := a.untilHangup(ctx)
	defer stop()
	a.Prompt(q.Text)
	end, err := begin(ctx)
	if err != nil {
		return "", q.fail(ctx, err)
	}
	line, err := readLine(UntilDone(ctx, a.IO.In))
	if errors.Is(err, io.EOF) && line == "" {
		err = a.endOfInput(ctx)
	}
	end()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", q.fail(ctx, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// untilHangup returns a context that ends when the terminal is closed, too. Nothing else catches SIGHUP here,
// and it would end the process without turning the echo on again.
func (a *App) untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	if a.IO.Hangup == nil {
		return ctx, stop
	}
	hangup := a.IO.Hangup(ctx)
	go func() {
		select {
		case <-hangup:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

var errNoInput = errors.New("there was no input")

// endOfInput returns the reason why there is no line: the person has ended the input, or an interrupt has. The
// end of the input may be seen before the signal: when a terminal is closed, and on Windows at Ctrl-C.
func (a *App) endOfInput(ctx context.Context) error {
	if a.IO.Terminal.Hide == nil {
		return errNoInput
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return errNoInput
	}
}

func (q Question) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: q.Op, Err: out.ErrInterrupted}
	}
	return &fault.Fault{Kind: fault.Invalid, Op: q.Op, Hint: q.Hint, Err: err}
}

// readLine reads a line byte by byte, so that what follows it is left for the next question.
func readLine(in io.Reader) (string, error) {
	var line strings.Builder
	for b := make([]byte, 1); line.Len() < maxAnswer; {
		n, err := in.Read(b)
		line.Write(b[:n])
		if err != nil || n == 1 && b[0] == '\n' {
			return line.String(), err
		}
	}
	return "", fmt.Errorf("the line is longer than %d bytes", maxAnswer)
}
