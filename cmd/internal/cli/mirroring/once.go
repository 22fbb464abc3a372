package mirroring

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
)

// mirrorOnce runs the rules one after the other.
func mirrorOnce(
	ctx context.Context, a *app.App, d *dray.Dray, f mirrorFlags, m config.Mirrors, state mirror.State,
) error {
	s := a.NewStory()
	defer s.End()
	t := newRuleTeller(a, f.dryRun, s.Say)
	all := mirrored{Verb: "mirror", File: f.file, DryRun: f.dryRun, Rules: []mirror.Result{}}
	began := time.Now()
	for _, rule := range m.Rules {
		s.Far(rule.Name)
		r := runRule(ctx, d, rule, state, s.Observe, t)
		all.Rules = append(all.Rules, r)
		for _, line := range ruleLines(r) {
			if !a.Quiet || r.Err() != nil && strings.Contains(line, ": failed: ") {
				s.Say(line)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	all.Took = time.Since(began)
	s.End()
	if err := t.end(all); err != nil {
		return err
	}
	return mirrorEnded(ctx, a, all, len(m.Rules))
}

// mirrorEnded prints a summary of all rules, and returns the exit code.
func mirrorEnded(ctx context.Context, a *app.App, all mirrored, rules int) error {
	good := 0
	var failures []error
	for _, r := range all.Rules {
		if r.Err() != nil {
			failures = append(failures, r.Err())
		} else {
			good++
		}
		for _, t := range r.Targets {
			good += t.Done + t.Unchanged
		}
	}
	if ctx.Err() != nil {
		a.Warnf("interrupted: %d of %s begun; run the same command again to continue",
			len(all.Rules), out.Plural(rules, "rule"))
		return out.Ended(out.ExitInterrupted)
	}
	if !a.Quiet {
		line := "ran "
		if all.DryRun {
			line = "looked at "
		}
		line += out.Plural(len(all.Rules), "rule")
		if len(failures) > 0 {
			line += fmt.Sprintf(", %d failed,", len(failures))
		}
		a.Warnf("%s in %s", line, out.Seconds(all.Took))
	}
	if len(failures) == 0 {
		return nil
	}
	return out.Ended(out.ExitOf(good, failures))
}
