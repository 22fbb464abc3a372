package out

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// Exit codes that no single Kind gives. docs/exit-codes.md is the table for people.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitPartly      = 6
	ExitDiffers     = 7
	ExitInterrupted = 130
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
	fault.Canceled:  ExitInterrupted,
}

// ExitMeanings is what the codes mean, in a few words for manual pages.
var ExitMeanings = []struct {
	Code    int
	Meaning string
}{
	{ExitOK, "done: every target confirmed the digest that it should hold, or held it already"},
	{ExitFailed, "failed: a conflict, trouble with a registry or the network, or several kinds of failure"},
	{2, "the command, a name, a flag or the configuration is wrong"},
	{3, "not found"},
	{4, "denied: a login is missing, wrong or not sufficient"},
	{5, "moved: a name points elsewhere than when the plan was made"},
	{ExitPartly, "partly done: some steps succeeded and some failed"},
	{ExitDiffers, "differs: verify found something that is not the same"},
	{8, "refused by a rule of dray"},
	{75, "throttled: a registry asks to wait longer than --max-wait"},
	{ExitInterrupted, "interrupted"},
}

// ExitCode is the code of a command that ended with err.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if code, ok := exitCodes[fault.KindOf(err)]; ok {
		return code
	}
	return ExitFailed
}

// ExitOf is the code of a run: partly done when some of it succeeded, the code that all failures
// share, or exitFailed.
func ExitOf(succeeded int, failures []error) int {
	if len(failures) == 0 {
		return ExitOK
	}
	if succeeded > 0 {
		return ExitPartly
	}
	code := ExitCode(failures[0])
	for _, err := range failures[1:] {
		if ExitCode(err) != code {
			return ExitFailed
		}
	}
	return code
}

// Ended is the error of a command that has told its story already; it is the exit code.
type Ended int

func (e Ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// End tells what is still to be told of err and returns the exit code.
func (c *Console) End(ctx context.Context, err error) int {
	var told Ended
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &told):
		return int(told)
	case ctx.Err() != nil && !fault.Is(err, fault.Invalid):
		err = &fault.Fault{Kind: fault.Canceled, Err: errors.New("nothing was written")}
		c.Warn("interrupted: nothing was written")
	default:
		c.Fail(err)
	}
	if c.Format == FormatJSON {
		c.PrintJSON(struct {
			Error plan.Problem `json:"error"`
		}{*plan.ProblemOf(err)})
	}
	return ExitCode(err)
}
