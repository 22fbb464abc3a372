package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// reportJSON is a dray.Report with an error that does not belong to a step.
type reportJSON struct {
	dray.Report
	Error *plan.Problem `json:"error,omitempty"`
}

// printReport prints the targets that are done or up to date; as JSON it prints the whole report.
func printReport(a *app.App, r dray.Report, err error) error {
	own := report.Tags(r.Steps)
	good := func(each func(name string, s dray.StepReport) error) error {
		for _, s := range r.Steps {
			if !own(s) {
				continue
			}
			if s.State != dray.Done && s.State != dray.Unchanged && !s.Arrived {
				continue
			}
			if err := each(out.TargetName(s.Step), s); err != nil {
				return err
			}
		}
		return nil
	}
	return a.Print(out.Answer{
		JSON: func() error {
			out := reportJSON{Report: r}
			if err != nil && r.Err() == nil {
				out.Error = plan.ProblemOf(err)
			}
			return a.PrintJSON(out)
		},
		Text: func() error {
			return good(func(name string, s dray.StepReport) error {
				return a.Println(out.WithDigest(name, string(s.Digest())))
			})
		},
		Header: []string{"TARGET", "DIGEST", "STATE"},
		Rows: func(row func(...string) error) error {
			return good(func(name string, s dray.StepReport) error { return row(name, string(s.Digest()), string(s.State)) })
		},
	})
}

// Write plans, then prints the plan or applies it and prints the report.
func Write(a *app.App, cmd *cobra.Command, w Writing) error {
	at, err := placeFor(a, cmd, w.Ask, w.DryRun)
	if err != nil {
		return err
	}
	defer at.close()
	return WriteAt(cmd.Context(), a, at, w)
}

// WriteAt is Write at a place that the caller has found.
func WriteAt(ctx context.Context, a *app.App, at Place, w Writing) error {
	began := time.Now()
	s := a.NewStory()
	defer s.End()
	if w.DryRun {
		p, err := at.plan(ctx, w, s)
		s.End()
		if left, ok := errors.AsType[*leftOn](err); ok {
			return tellGoesOn(a, left)
		}
		if err != nil {
			return err
		}
		return showPlan(a, p, w)
	}
	p, report, err := at.write(ctx, w, s)
	s.End()
	if left, ok := errors.AsType[*leftOn](err); ok {
		return tellGoesOn(a, left)
	}
	where, lost := keepRest(ctx, w, at, report.Steps, err) // before the report, since stdout may be a broken pipe
	if p == nil {
		tellKept(a, where, lost)
		return err
	}
	ending := showReport(ctx, a, w, time.Since(began), *p, report, err)
	tellKept(a, where, lost)
	if ending == nil && lost != nil {
		ending = out.Ended(out.ExitFailed)
	}
	return ending
}

func keepRest(
	ctx context.Context, w Writing, at Place, steps []dray.StepReport, why error,
) (where string, err error) {
	if w.Keep == nil || w.DryRun {
		return "", nil
	}
	d, err := at.names(context.WithoutCancel(ctx))
	if err != nil {
		return "", err
	}
	return w.Keep(d, steps, why)
}

// showPlan prints the answer of --dry-run. If the run would refuse a step, it returns the same exit code.
func showPlan(a *app.App, p plan.Plan, w Writing) error {
	err := a.Print(out.Answer{
		Header: []string{"ACTION", "FROM", "TO", "DIGEST", "REPLACES"},
		Rows: func(row func(...string) error) error {
			for _, s := range p.Steps {
				from, to := s.From.Repo.Tagged(s.From.Tag).String(), out.TargetName(s)
				if s.Asked != "" {
					from, to = s.Asked, ""
				}
				if err := row(string(s.Action), from, to, string(s.Digest()), string(s.Replaces)); err != nil {
					return err
				}
				for _, r := range s.Referrers {
					if err := row("with", s.From.Repo.At(string(r.Digest)).String(), "", string(r.Digest), ""); err != nil {
						return err
					}
				}
			}
			return nil
		},
		Text: func() error {
			for _, s := range p.Steps {
				for _, line := range s.Lines() {
					if err := a.Println(line); err != nil {
						return err
					}
				}
			}
			return nil
		},
		JSON: func() error { return p.Write(a.Out) },
	})
	if err != nil {
		return err
	}
	var failures []error
	for _, s := range p.Steps {
		switch s.Action {
		case plan.Conflict:
			failures = append(failures, conflict(p.Verb, s, w.Instead))
		case plan.Broken, plan.Refused:
			failures = append(failures, s.Problem.Err())
		}
	}
	for _, err := range failures {
		a.Fail(err)
	}
	if !a.Quiet {
		a.Warnf("%s", planned(p))
	}
	if len(failures) == 0 {
		return nil
	}
	return out.Ended(out.ExitOf(free(p, len(p.Steps)-len(failures)), failures))
}

// planned returns the last line of --dry-run, such as "planned 3 steps: 2 to copy, 1 up to date".
func planned(p plan.Plan) string {
	n := map[plan.Action]int{}
	with := 0
	for _, s := range p.Steps {
		n[s.Action]++
		with += len(s.Referrers)
	}
	var parts []string
	count := func(n int, word string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	count(n[plan.Copy], "to copy")
	count(n[plan.Replace]+n[plan.Retag], "to write again")
	count(n[plan.Skip], "up to date")
	if with > 0 {
		parts = append(parts, out.Plural(with, "referrer")+" with them")
	}
	count(n[plan.Conflict]+n[plan.Broken]+n[plan.Refused], "not possible")
	head := "planned " + out.Plural(len(p.Steps), "step")
	if len(parts) == 0 {
		return head
	}
	return head + ": " + strings.Join(parts, ", ")
}

// free returns how many of n steps can be done, or were done, although other steps fail: none if the plan is
// to be done whole or not at all.
func free(p plan.Plan, n int) int {
	if p.Hold == plan.All {
		return 0
	}
	return n
}

// showReport prints the report, the errors and the summary, and returns the exit code.
func showReport(
	ctx context.Context, a *app.App, w Writing, took time.Duration, p plan.Plan, r dray.Report, err error,
) error {
	interrupted := err != nil && ctx.Err() != nil
	if perr := printReport(a, r, err); perr != nil {
		return perr
	}
	if !a.Quiet {
		for _, line := range slices.Concat(changes(r), out.LostReferrers(r.Referrers())) {
			a.Warnf("%s", line)
		}
	}
	canceled := !interrupted && fault.Is(err, fault.Canceled) // somebody canceled the job at the server
	failures := tellFailures(a, w, r, err, interrupted || canceled)
	if done := r.Count(dray.Done) + r.Count(dray.Unchanged); interrupted || canceled {
		what := fmt.Sprintf("%d of %s done", done, out.Plural(len(p.Steps), "step"))
		return stopped(ctx, a, what, out.StatesOf(r.Steps), err)
	}
	var few sparse
	for _, s := range r.Steps {
		few.add(s)
	}
	if line := summary(w.Past, r, took); line != "" && !a.Quiet {
		a.Warnf("%s%s", line, few.tail(a))
	}
	switch {
	case len(failures) == 0:
		return nil
	case slices.ContainsFunc(r.Steps, func(s dray.StepReport) bool { return s.Arrived }):
		return out.Ended(out.ExitPartly)
	case slices.ContainsFunc(p.Steps, refused):
		// If the plan is to be done whole or not at all, nothing was done, even if a target is up to date.
		return out.Ended(out.ExitOf(free(p, r.Count(dray.Done)+r.Count(dray.Unchanged)), failures))
	}
	return out.Ended(out.ExitOf(r.Count(dray.Done)+r.Count(dray.Unchanged), failures))
}

// refused reports whether a step cannot be done.
func refused(s plan.Step) bool { return s.Action == plan.Conflict || s.Impossible() }

// tellFailures prints a line for each step that failed, or for err if no step has failed.
func tellFailures(a *app.App, w Writing, r dray.Report, err error, interrupted bool) []error {
	var failures []error
	told := map[string]bool{} // steps of one image in one repository may have the same error
	tell := func(prefix string, err error) {
		failures = append(failures, err)
		line := prefix + err.Error()
		if !told[line] && (!interrupted || !fault.Is(err, fault.Canceled)) {
			told[line] = true
			a.Fail(named{prefix, err})
		}
	}
	repeats := report.Repeats(r.Steps)
	for _, s := range r.Steps {
		if s.Err == nil || repeats(s) {
			continue
		}
		prefix := ""
		if w.Many && s.Asked == "" {
			prefix = prefixOf(s)
		}
		tell(prefix, s.Err)
	}
	if len(failures) == 0 && err != nil {
		tell("", err)
	}
	return failures
}

// changes returns a line for each tag that had another digest before.
func changes(r dray.Report) []string {
	var lines []string
	for _, s := range r.Steps {
		if s.State == dray.Done && s.Replaces != "" && s.Replaces != s.Digest() {
			lines = append(lines, out.RetagLine(out.TargetName(s.Step), string(s.Replaces), string(s.Digest()), s.Backup))
		}
	}
	return lines
}

// summary returns the last line of a run, such as "imported 2 tags: 12 blobs sent (45 MiB), 31 requests, 2.1 s".
func summary(past string, r dray.Report, took time.Duration) string {
	all, own, repeats := r, report.Tags(r.Steps), report.Repeats(r.Steps)
	r.Steps = slices.DeleteFunc(slices.Clone(r.Steps), func(s dray.StepReport) bool {
		return !own(s) && s.Err == nil || repeats(s)
	})
	done, unchanged, failed := r.Count(dray.Done), r.Count(dray.Unchanged), r.Count(dray.Failed)
	arrived := 0
	for _, s := range r.Steps {
		if s.Arrived {
			arrived++
		}
	}
	if done+arrived == 0 && failed > 0 && r.Verb != "batch" { // of one image, the error says it all
		return strings.Join(out.Pulls(r), ", ")
	}
	isDone := func(s dray.StepReport) bool { return s.State == dray.Done || s.Arrived }
	isUnchanged := func(s dray.StepReport) bool { return s.State == dray.Unchanged }
	head, with := past+" "+names(r, isDone), all.Referrers()
	switch {
	case len(r.Steps) == 0 && r.Verb == "batch":
		head = "nothing to do, the list is empty"
	case len(r.Steps) == 0 && r.LeftOut > 0:
		head = "nothing copied"
	case len(r.Steps) == 0:
		head = "nothing to do, there are no tags"
	case arrived > 0:
		head += fmt.Sprintf(", %d without all that refers to it", arrived)
		if unchanged > 0 {
			head += fmt.Sprintf(", %d unchanged", unchanged)
		}
	case done+unchanged == 0 && failed > 0: // "imported 0 tags"
	case done == 0 && with.Copied > 0:
		head = "copied " + out.Plural(with.Copied, "referrer") + ", up to date: " + names(r, isUnchanged)
		with.Copied = 0
	case done == 0 && failed+with.Refused+with.Unread > 0:
		head = "up to date: " + names(r, isUnchanged)
	case done == 0:
		head = "nothing to do, up to date: " + names(r, isUnchanged)
	case unchanged > 0:
		head += fmt.Sprintf(", %d unchanged", unchanged)
	}
	head = strings.Join(append([]string{head}, out.Left(out.StatesOf(r.Steps))...), ", ")
	if r.LeftOut > 0 {
		head += fmt.Sprintf(", left out %d", r.LeftOut)
	}
	sep := ": "
	if done+arrived == 0 {
		sep = ", "
	}
	tail := slices.Concat(out.Blobs(all), out.Referrers(with),
		[]string{out.Requests(r)}, out.Pulls(r), []string{out.Seconds(took)})
	return head + sep + strings.Join(tail, ", ")
}

// names counts the steps that are chosen, as tags and digests.
func names(r dray.Report, chosen func(dray.StepReport) bool) string {
	tags, digests := 0, 0
	for _, s := range r.Steps {
		switch {
		case !chosen(s):
		case s.To.Tag == "":
			digests++
		default:
			tags++
		}
	}
	switch {
	case digests == 0:
		return out.Plural(tags, "tag")
	case tags == 0:
		return out.Plural(digests, "digest")
	}
	return out.Plural(tags, "tag") + " and " + out.Plural(digests, "digest")
}
