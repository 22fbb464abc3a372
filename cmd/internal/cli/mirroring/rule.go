package mirroring

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// runRule runs one rule and stores the result. If another process runs the rule, it is skipped.
func runRule(
	ctx context.Context, d *dray.Dray, rule config.Mirror, state mirror.State, obs event.Observer, t *ruleTeller,
) mirror.Result {
	mode := mirror.Write
	if t.dryRun {
		mode = mirror.DryRun
	}
	if mode == mirror.Write {
		unlock, alone, err := state.Lock(ctx, rule.Name)
		switch {
		case err != nil:
			t.say(strings.TrimPrefix(out.ErrorLine(err), "dray: "))
		case !alone:
			return mirror.Result{
				Rule:    rule.Name,
				Outcome: mirror.Skipped,
				Began:   time.Now(),
				Notes:   []string{"another process runs this rule"},
			}
		default:
			defer unlock()
		}
	}
	began := time.Now()
	r, err := app.Patiently(ctx, app.Grace, func() (mirror.Result, error) {
		g, err := t.gates(rule)
		if err != nil {
			return mirror.FailedResult(rule.Name, began, err), nil
		}
		return mirror.Run(ctx, d, rule, g, mode, obs, t.steps), nil
	})
	if err != nil { // an interrupt came, and the run did not return in time
		t.stop()
		r = mirror.StoppedResult(rule.Name, began, err)
	}
	if err := state.Write(r); err != nil {
		t.say(strings.TrimPrefix(out.ErrorLine(err), "dray: "))
	}
	return r
}

// ruleLines returns the lines that report one run: notes, failures, and a summary at the end.
func ruleLines(r mirror.Result) []string {
	var lines []string
	for _, n := range r.Notes {
		lines = append(lines, r.Rule+": note: "+n)
	}
	for _, l := range out.LostReferrers(r.Referrers) {
		lines = append(lines, r.Rule+": "+l)
	}
	told := 0
	for _, t := range r.Targets {
		for _, f := range t.Failures {
			told++
			lines = append(lines, problemLine(r.Rule+": failed: ", f.To, f.Error))
		}
	}
	switch {
	case told > 0 || r.Error == nil:
	case r.Outcome == mirror.Stopped:
		lines = append(lines, r.Rule+": interrupted")
	default:
		lines = append(lines, problemLine(r.Rule+": failed: ", "", *r.Error))
	}
	for _, t := range r.Targets {
		lines = append(lines, r.Rule+": "+targetLine(t, r.DryRun))
	}
	tail := slices.Concat(out.Blobs(dray.Report{Steps: []dray.StepReport{{Blobs: r.Blobs}}}), out.Referrers(r.Referrers),
		[]string{out.Requests(dray.Report{Traffic: r.Traffic}), out.Seconds(r.Took)})
	head := fmt.Sprintf("%s: %s", r.Rule, r.Outcome)
	if r.Outcome != mirror.Skipped {
		head += fmt.Sprintf(", drift %d, left %d: %s", r.Drift, r.Left, strings.Join(tail, ", "))
	}
	return append(lines, head)
}

func problemLine(before, name string, p plan.Problem) string {
	line := before
	if name != "" && !strings.Contains(p.Message, name+": ") {
		line += name + ": "
	}
	line += p.Message
	if p.Hint != "" {
		line += " (hint: " + p.Hint + ")"
	}
	return line
}

// targetLine returns a line such as "prod.example: 3 done (2 missing, 1 re-tagged), 47 unchanged, 1 failed".
func targetLine(t mirror.Target, dryRun bool) string {
	word := "done"
	if dryRun {
		word = "to do"
	}
	line := fmt.Sprintf("%s: %d %s", t.Host, t.Done, word)
	if t.Missing+t.Retagged > 0 {
		line += fmt.Sprintf(" (%d missing, %d re-tagged)", t.Missing, t.Retagged)
	}
	line += fmt.Sprintf(", %d unchanged", t.Unchanged)
	if t.Failed > 0 {
		line += fmt.Sprintf(", %d failed", t.Failed)
	}
	if t.Left > 0 {
		line += fmt.Sprintf(", %d not finished", t.Left)
	}
	return line
}
