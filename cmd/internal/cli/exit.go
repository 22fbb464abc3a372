package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
)

// Exit codes that no single Kind gives. docs/exit-codes.md is the table for people.
const (
	exitOK          = 0
	exitFailed      = 1
	exitPartly      = 6
	exitDiffers     = 7
	exitInterrupted = 130
)

// exitCodes is the one place where a Kind becomes an exit code; a Kind that is absent is exitFailed.
// Where az acr import has a code, it is az's.
var exitCodes = map[fault.Kind]int{
	fault.Invalid:   2,
	fault.NotFound:  3,
	fault.Denied:    4,
	fault.Moved:     5,
	fault.Refused:   8,
	fault.Throttled: 75,
	fault.Canceled:  exitInterrupted,
}

// exitMeanings is what the codes mean, in a few words for manual pages.
var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitOK, "done: every target confirmed the digest that it should hold, or held it already"},
	{exitFailed, "failed: a conflict, trouble with a registry or the network, or several kinds of failure"},
	{2, "the command, a name, a flag or the configuration is wrong"},
	{3, "not found"},
	{4, "denied: a login is missing, wrong or not sufficient"},
	{5, "moved: a name points elsewhere than when the plan was made"},
	{exitPartly, "partly done: some steps succeeded and some failed"},
	{exitDiffers, "differs: verify found something that is not the same"},
	{8, "refused by a rule of dray"},
	{75, "throttled: a registry asks to wait longer than --max-wait"},
	{exitInterrupted, "interrupted"},
}

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if code, ok := exitCodes[fault.KindOf(err)]; ok {
		return code
	}
	return exitFailed
}

// exitOf is the code of a run: partly done when some of it succeeded, the code that all failures
// share, or exitFailed.
func exitOf(succeeded int, failures []error) int {
	if len(failures) == 0 {
		return exitOK
	}
	if succeeded > 0 {
		return exitPartly
	}
	code := exitCode(failures[0])
	for _, err := range failures[1:] {
		if exitCode(err) != code {
			return exitFailed
		}
	}
	return code
}

// ended is the error of a command that has told its story already; it is the exit code.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// end tells what is still to be told of err and returns the exit code.
func (c *console) end(ctx context.Context, err error) int {
	var told ended
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return int(told)
	case ctx.Err() != nil && !fault.Is(err, fault.Invalid):
		err = &fault.Fault{Kind: fault.Canceled, Err: errors.New("nothing was written")}
		c.warn("interrupted: nothing was written")
	default:
		c.fail(err)
	}
	if c.format == formatJSON {
		c.printJSON(struct {
			Error dray.Problem `json:"error"`
		}{dray.ProblemOf(err)})
	}
	return exitCode(err)
}

func errorLine(err error) string {
	line := "dray: " + err.Error()
	if hint := fault.HintOf(err); hint != "" {
		line += " (hint: " + hint + ")"
	}
	return oneLine(line)
}

// oneLine takes out what a registry's answer could do to a terminal or a log.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// hinted is an error with a next step of ours.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error {
	f := &fault.Fault{Kind: fault.KindOf(h.error), Hint: h.hint, Err: h.error}
	var of *fault.Fault
	if errors.As(h.error, &of) {
		f.Side = of.Side
	}
	return f
}

// withHint is err with a next step of ours.
func withHint(err error, hint string) error { return hinted{err, hint} }
