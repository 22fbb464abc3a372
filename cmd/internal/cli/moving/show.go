package moving

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// planSummary is the answer of dray plan show.
type planSummary struct {
	Verb         string              `json:"verb"`
	Overwrite    plan.Overwrite      `json:"overwrite"`
	Hold         plan.Hold           `json:"hold,omitempty"`
	Steps        int                 `json:"steps"`
	Repositories int                 `json:"repositories"`
	Actions      map[plan.Action]int `json:"actions"`
	Retagged     int                 `json:"retagged"`
	Locked       int                 `json:"locked,omitempty"` // names that get locks
	Referrers    int                 `json:"referrers,omitempty"`
	Retags       []dray.Retag        `json:"retags,omitempty"`
	Problems     []string            `json:"problems,omitempty"` // of conflicts and of steps that could not be planned
	Notes        []string            `json:"notes,omitempty"`
}

func newPlanShow(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:   "show PLAN",
		Short: "Count what a plan would do, and list the tags that it moves",
		Long: "Read a plan and count its steps by action. PLAN is a file, or - for stdin. dray also lists the " +
			"tags that the plan moves from one digest to another, the conflicts, and the steps that could not be " +
			"planned: the first ten thousand of each.",
		Example: "  dray plan show plan.json\n" +
			"  dray plan show plan.json -o json",
		Args: flag.Exactly(1, "the file of a plan, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, done, err := openPlan(a, args[0])
			if err != nil {
				return err
			}
			defer done()
			sum, err := app.Patiently(cmd.Context(), 0, func() (planSummary, error) { return summarize(in) })
			if err != nil {
				return inFile(args[0], err)
			}
			return printSummary(a, sum)
		},
	}
}

func printSummary(a *app.App, sum planSummary) error {
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(sum) },
		Text:   func() error { return a.PrintText(sum.String()) },
		Header: []string{"ACTION", "STEPS"},
		Rows: func(row func(...string) error) error {
			for _, action := range actions {
				if n := sum.Actions[action]; n > 0 {
					if err := row(string(action), strconv.Itoa(n)); err != nil {
						return err
					}
				}
			}
			return nil
		},
	})
}

// actions lists all actions in the order in which they are printed.
var actions = []plan.Action{plan.Copy, plan.Replace, plan.Retag, plan.Skip, plan.Conflict, plan.Broken, plan.Refused}

func summarize(in io.Reader) (planSummary, error) {
	r, err := plan.NewReader(in)
	if err != nil {
		return planSummary{}, err
	}
	head := r.Header()
	sum := planSummary{
		Verb:      head.Verb,
		Overwrite: head.Overwrite,
		Hold:      head.Hold,
		Notes:     head.Notes,
		Actions:   map[plan.Action]int{},
	}
	seen := map[ref.Repo]bool{}
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			sum.Repositories = len(seen)
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
		seen[s.To.Repo] = true
		sum.add(s)
	}
}

func (p *planSummary) add(s plan.Step) {
	p.Steps++
	p.Actions[s.Action]++
	p.Referrers += s.Brings()
	if s.Locks != (oci.Locks{}) {
		p.Locked++
	}
	if s.Retags() {
		if p.Retagged++; len(p.Retags) < dray.MaxRetags {
			p.Retags = append(p.Retags, dray.Retag{
				From: s.From,
				To:   s.To,
				Was:  string(s.Replaces),
				Is:   string(s.Digest()),
				Kept: s.Backup,
			})
		}
	}
	if (s.Action == plan.Conflict || s.Impossible()) && len(p.Problems) < dray.MaxRetags {
		p.Problems = append(p.Problems, s.Describe())
	}
}

func (p planSummary) String() string {
	var b strings.Builder
	b.WriteString(out.Sprintf("%s: %s in %s\n", p.Verb, out.Plural(p.Steps, "step"), out.Repositories(p.Repositories)))
	for _, action := range actions {
		if n := p.Actions[action]; n > 0 {
			b.WriteString(out.Sprintf("  %-8s  %d\n", action, n))
		}
	}
	if p.Retagged > 0 {
		b.WriteString(out.Sprintf("re-tagged artifacts: %d\n", p.Retagged))
	}
	for _, m := range p.Retags {
		b.WriteString(out.Sprintf("  %s\n", out.RetagLine(m.To.String(), m.Was, m.Is, m.Kept)))
	}
	if p.Locked > 0 {
		b.WriteString(out.Sprintf("to lock: %d\n", p.Locked))
	}
	if p.Referrers > 0 {
		b.WriteString(out.Sprintf("referrers to copy: %d\n", p.Referrers))
	}
	if n := p.Actions[plan.Conflict] + p.Actions[plan.Broken] + p.Actions[plan.Refused]; n > 0 {
		b.WriteString(out.Sprintf("not possible: %d\n", n))
	}
	for _, line := range p.Problems {
		b.WriteString(out.Sprintf("  %s\n", out.OneLine(line)))
	}
	for _, n := range p.Notes {
		b.WriteString(out.Sprintf("note: %s\n", out.OneLine(n)))
	}
	return b.String()
}
