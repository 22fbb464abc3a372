package out

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// The exit codes that do not come from a single Kind. docs/exit-codes.md has the table of all codes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitPartly      = 6
	ExitDiffers     = 7
	ExitInterrupted = 130
)

// exitCodes is the only place where a Kind becomes an exit code. A Kind that is absent means ExitFailed.
// Where az acr import has a code for the same failure, the code is that of az.
var exitCodes = map[fault.Kind]int{
	fault.Invalid:   2,
	fault.NotFound:  3,
	fault.Denied:    4,
	fault.Moved:     5,
	fault.Refused:   8,
	fault.Throttled: 75,
	fault.Canceled:  ExitInterrupted,
}

// ExitMeanings says in a few words what each exit code means, for manual pages.
var ExitMeanings = []struct {
	Code    int
	Meaning string
}{
	{ExitOK, "done: every target confirmed its digest, or had it already"},
	{ExitFailed, "failed: a conflict, an error of a registry or of the network, or several kinds of failures"},
	{2, "the command, a name, a flag or the configuration is wrong"},
	{3, "not found"},
	{4, "denied: a login is missing, wrong or not sufficient"},
	{5, "moved: a name points elsewhere than when the plan was made"},
	{ExitPartly, "partly done: some steps succeeded and some failed"},
	{ExitDiffers, "differs: dray verify found a difference"},
	{8, "refused by a rule of dray, or the registry does not do it"},
	{75, "throttled: a registry asks to wait longer than --max-wait"},
	{ExitInterrupted, "interrupted"},
}

// ExitCode returns the exit code of a command that ended with err.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if code, ok := exitCodes[fault.KindOf(err)]; ok {
		return code
	}
	return ExitFailed
}

// ExitOf returns the exit code of a run of several steps: ExitPartly if some of them succeeded, else the
// code that all failures share, else ExitFailed.
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

// ErrInterrupted is the cause of an error of work, or of a question, that an interrupt has ended.
var ErrInterrupted = errors.New("interrupted")

// Ended is the error of a command that has printed everything already. Its value is the exit code.
type Ended int

func (e Ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// End prints err, unless it is an Ended, and returns the exit code of the command.
func (c *Console) End(ctx context.Context, err error) int {
	var told Ended
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &told):
		return int(told)
	case errors.Is(err, ErrInterrupted), ctx.Err() != nil && !fault.Is(err, fault.Invalid):
		err = &fault.Fault{Kind: fault.Canceled, Err: errors.New("nothing was written")}
		c.Warnf("interrupted: nothing was written")
	default:
		c.Fail(err)
	}
	if c.Format == FormatJSON && c.Search == nil {
		// The exit code says already that the command failed, also if stdout is a broken pipe.
		_ = c.PrintJSON(struct {
			Error plan.Problem `json:"error"`
		}{*plan.ProblemOf(err)})
	}
	return ExitCode(err)
}
