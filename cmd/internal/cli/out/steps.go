package out

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/drayage/dray"
	"github.com/drayage/dray/plan"
)

// ErrOver ends a run whose output is closed, since it did not return after an interrupt.
var ErrOver = errors.New("over")

// Steps writes the answer of a verb with very many steps on stdout, step by step.
type Steps interface {
	Step(dray.StepReport) error
	Flush() error // called when all steps of a repository are written
	End(sum dray.TransferReport, problem error) error
}

// NewReportOut returns the Steps for the results of steps.
func (c *Console) NewReportOut() Steps {
	if c.Format == FormatJSON {
		return &jsonStream{w: c.Out}
	}
	return c.newPlainOut(lineStream{c: c})
}

// NewPlanOut returns the Steps for a plan, whose file begins with head.
func (c *Console) NewPlanOut(head plan.Plan) Steps {
	if c.Format == FormatJSON {
		return &planStream{w: c.Out, head: head}
	}
	return c.newPlainOut(lineStream{c: c, dryRun: true})
}

// newPlainOut returns l, or the same in another format than text.
func (c *Console) newPlainOut(l lineStream) Steps {
	switch c.Format {
	case FormatNone:
		return NoSteps{}
	case FormatText:
		return l
	}
	tab := c.NewTab()
	out := &rowStream{row: tab.Row, flush: tab.Flush, dryRun: l.dryRun, header: c.Format == FormatTable}
	if c.Format == FormatTSV {
		out.row = c.PrintRow
	}
	return out
}

// NoSteps is the format none, which writes nothing.
type NoSteps struct{}

// Step does nothing.
func (NoSteps) Step(dray.StepReport) error { return nil }

// Flush does nothing.
func (NoSteps) Flush() error { return nil }

// End does nothing.
func (NoSteps) End(dray.TransferReport, error) error { return nil }

// isShown reports whether a dry run shows a step: it does something, or leaves something as it is that differs, or
// what refers to its image is copied.
func isShown(s plan.Step) bool {
	return s.Action != plan.Skip || s.Works() || s.Keeps == plan.KeepsOther || len(s.Referrers) > 0
}

// lineStream is the format text: a line for each tag that was copied, or each step that would be done.
type lineStream struct {
	c      *Console
	dryRun bool
}

func (l lineStream) Step(s dray.StepReport) error {
	var lines []string
	switch {
	case l.dryRun && isShown(s.Step):
		lines = s.Lines()
	case !l.dryRun && s.State == dray.Done:
		lines = []string{WithDigest(TargetName(s.Step), string(s.Digest()))}
	}
	for _, line := range lines {
		if err := l.c.Println(line); err != nil {
			return err
		}
	}
	return nil
}

func (l lineStream) Flush() error { return nil }

func (l lineStream) End(dray.TransferReport, error) error { return nil }

// rowStream is the formats table and tsv. The columns of a table are as wide as one repository needs, since
// each repository is written as soon as it is done.
type rowStream struct {
	row            func(cells ...string) error
	flush          func() error
	dryRun, header bool
}

func (r *rowStream) head() error {
	if !r.header {
		return nil
	}
	r.header = false
	if r.dryRun {
		return r.row("ACTION", "FROM", "TO", "DIGEST", "REPLACES")
	}
	return r.row("TARGET", "DIGEST", "STATE")
}

func (r *rowStream) Step(s dray.StepReport) error {
	if err := r.head(); err != nil {
		return err
	}
	switch {
	case r.dryRun && isShown(s.Step):
		from := s.From.Repo.Tagged(s.From.Tag).String()
		return r.row(string(s.Action), from, TargetName(s.Step), string(s.Digest()), string(s.Replaces))
	case !r.dryRun && s.State == dray.Done:
		return r.row(TargetName(s.Step), string(s.Digest()), string(s.State))
	}
	return nil
}

func (r *rowStream) Flush() error { return r.flush() }

func (r *rowStream) End(dray.TransferReport, error) error {
	if err := r.head(); err != nil {
		return err
	}
	return r.flush()
}

// planStream is the format json of --dry-run, which is the format of a plan's file.
type planStream struct {
	w    io.Writer
	head plan.Plan
	out  *plan.Writer
}

func (p *planStream) open() (err error) {
	if p.out == nil {
		p.out, err = plan.NewWriter(p.w, p.head)
	}
	return err
}

func (p *planStream) Step(s dray.StepReport) error {
	if err := p.open(); err != nil {
		return err
	}
	return p.out.Step(s.Step)
}

func (p *planStream) Flush() error { return nil }

// End writes the last line of the plan. If the plan is not complete, it leaves that line out, so that readers
// refuse the plan.
func (p *planStream) End(_ dray.TransferReport, problem error) error {
	if problem != nil && p.out == nil {
		return nil // nothing was planned, so there is no plan
	}
	if err := p.open(); err != nil {
		return err
	}
	if problem != nil {
		return p.out.Flush()
	}
	return p.out.Close()
}

// jsonStream is the format json: one value, to which steps are written as they end.
type jsonStream struct {
	w     io.Writer
	begun bool
}

func (j *jsonStream) Step(s dray.StepReport) error {
	raw, err := marshal(s)
	if err != nil {
		return err
	}
	before := "{\n  \"steps\": [\n    "
	if j.begun {
		before = ",\n    "
	}
	j.begun = true
	_, err = fmt.Fprint(j.w, before, string(raw))
	return err
}

func (j *jsonStream) Flush() error { return nil }

func (j *jsonStream) End(sum dray.TransferReport, problem error) error {
	tail := struct {
		dray.TransferReport
		Error *plan.Problem `json:"error,omitempty"`
	}{TransferReport: sum}
	if problem != nil {
		tail.Error = plan.ProblemOf(problem)
	}
	raw, err := marshal(tail)
	if err != nil {
		return err
	}
	before := "{\n  \"steps\": ["
	if j.begun {
		before = "\n  "
	}
	_, err = fmt.Fprint(j.w, before, "],\n  ", string(raw[1:]), "\n")
	return err
}

// marshal returns v as JSON on one line, without escapes for characters such as <.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}
