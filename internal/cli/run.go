package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// grace is how long a verb may take to return after it was interrupted. A person expects the
// prompt back within a second; the content at the targets is safe at any instant.
const grace = 800 * time.Millisecond

// errLate says that a verb had not returned when its grace was over.
var errLate = errors.New("interrupted")

// writing is one run of a verb that writes.
type writing struct {
	past    string // "imported"
	instead string // hint where a target is in the way
	dryRun  bool
	many    bool // each step stands for itself, and each failure has its line
	plan    func(context.Context, *dray.Dray, event.Observer) (*dray.Plan, error)

	// keep writes down what is left to do, and says where; nil keeps nothing. It gets no steps where
	// no plan could be made, for the reason why.
	keep func(d *dray.Dray, steps []dray.StepReport, why error) (where string, err error)
}

// write plans, then prints the plan or applies it and prints the report.
func (a *app) write(cmd *cobra.Command, w writing) error {
	ctx, began := cmd.Context(), time.Now()
	d, err := a.open()
	if err != nil {
		return err
	}
	defer d.Close()
	s := a.newStory()
	defer s.end()
	p, err := patiently(ctx, grace, func() (*dray.Plan, error) { return w.plan(ctx, d, s.observe) })
	if err != nil {
		s.end()
		where, lost := a.keepRest(w, d, nil, err)
		a.tellKept(where, lost)
		return err
	}
	for _, note := range p.Notes {
		s.note(note)
	}
	if w.dryRun {
		s.end()
		return a.showPlan(p.Plan, w)
	}
	s.steps(len(p.Steps))
	report, err := patiently(ctx, grace, func() (dray.Report, error) { return d.Apply(ctx, p, s.observe) })
	s.end()
	if errors.Is(err, errLate) {
		report = s.report(p.Plan)
	}
	where, lost := a.keepRest(w, d, report.Steps, err) // before the report: stdout may be a pipe that is broken
	ending := a.showReport(ctx, w, time.Since(began), p.Plan, report, err)
	a.tellKept(where, lost)
	if ending == nil && lost != nil {
		ending = ended(exitFailed)
	}
	return ending
}

func (a *app) keepRest(w writing, d *dray.Dray, steps []dray.StepReport, why error) (where string, err error) {
	if w.keep == nil || w.dryRun {
		return "", nil
	}
	return w.keep(d, steps, why)
}

// tellKept says where the rest of a run is written down, or why it is not.
func (a *app) tellKept(where string, err error) {
	switch {
	case err != nil:
		a.fail(err)
	case where != "" && !a.common.quiet:
		a.warn("%s", where)
	}
}

// patiently calls f and waits for it, but not longer than grace after ctx ended. Where f is late it
// is left behind: the process ends next.
func patiently[T any](ctx context.Context, grace time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(grace):
		var none T
		return none, &fault.Fault{Kind: fault.Canceled, Err: errLate}
	}
}

// showPlan is the answer of --dry-run. Where the run would refuse, so does it.
func (a *app) showPlan(p plan.Plan, w writing) error {
	err := a.print(answer{
		header: []string{"ACTION", "FROM", "TO", "DIGEST", "REPLACES"},
		rows: func(row func(...string) error) error {
			for _, s := range p.Steps {
				from, to := s.From.Repo.Tagged(s.From.Tag).String(), targetName(s)
				if s.Asked != "" {
					from, to = s.Asked, ""
				}
				if err := row(string(s.Action), from, to, string(s.Digest()), string(s.Replaces)); err != nil {
					return err
				}
			}
			return nil
		},
		text: func() error { _, err := fmt.Fprint(a.io.Out, p); return err },
		json: func() error { return p.Write(a.io.Out) },
	})
	if err != nil {
		return err
	}
	var failures []error
	for _, s := range p.Steps {
		switch s.Action {
		case plan.Conflict:
			failures = append(failures, &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: p.Verb, Name: s.To.String(), Hint: w.instead,
				Err: fmt.Errorf("it exists with another digest: it is %s, the source is %s", s.Replaces, s.Digest())})
		case plan.Broken:
			failures = append(failures, s.Problem.Err())
		}
	}
	for _, err := range failures {
		a.fail(err)
	}
	if len(failures) == 0 {
		return nil
	}
	return ended(exitOf(free(p, len(p.Steps)-len(failures)), failures))
}

// free is how many of n steps can be done, or were, beside others that are known to fail.
func free(p plan.Plan, n int) int {
	if p.Hold == plan.All {
		return 0
	}
	return n
}

// showReport prints the answer and tells the end of the story.
func (a *app) showReport(ctx context.Context, w writing, took time.Duration, p plan.Plan, r dray.Report, err error) error {
	interrupted := err != nil && ctx.Err() != nil
	if perr := a.printReport(r, err); perr != nil {
		return perr
	}
	if !a.common.quiet {
		for _, line := range changes(r) {
			a.warn("%s", line)
		}
	}
	failures := a.tellFailures(w, r, err, interrupted)
	if interrupted {
		done := r.Count(dray.Done) + r.Count(dray.Unchanged)
		a.warn("interrupted: %d of %d steps done; run the same command again to go on", done, len(p.Steps))
		return ended(exitInterrupted)
	}
	if line := summary(w.past, r, took); line != "" && !a.common.quiet {
		a.warn("%s", line)
	}
	switch {
	case len(failures) == 0:
		return nil
	case slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Conflict || s.Action == plan.Broken }):
		// With all or nothing, nothing was touched, also where another target was right before.
		return ended(exitOf(free(p, r.Count(dray.Done)+r.Count(dray.Unchanged)), failures))
	}
	return ended(exitOf(r.Count(dray.Done)+r.Count(dray.Unchanged), failures))
}

// tellFailures writes a line for each step that failed, and for err where no step has it.
func (a *app) tellFailures(w writing, r dray.Report, err error, interrupted bool) []error {
	var failures []error
	told := map[string]bool{} // steps of one image that share a repository share what befell it
	tell := func(prefix string, err error) {
		failures = append(failures, err)
		line := prefix + err.Error()
		if !told[line] && (!interrupted || !fault.Is(err, fault.Canceled)) {
			told[line] = true
			a.fail(named{prefix, err})
		}
	}
	for _, s := range r.Steps {
		if s.Err == nil {
			continue
		}
		prefix := ""
		if name := targetName(s.Step); w.many && s.Asked == "" && !strings.Contains(s.Err.Error(), name+": ") {
			prefix = name + ": "
		}
		tell(prefix, s.Err)
	}
	if len(failures) == 0 && err != nil {
		tell("", err)
	}
	return failures
}

// named is an error of one of many targets, which it does not name itself.
type named struct {
	prefix string
	err    error
}

func (n named) Error() string { return n.prefix + n.err.Error() }
func (n named) Unwrap() error { return n.err }

// targetName is what a step's target is called; without a tag, by its digest.
func targetName(s plan.Step) string {
	if s.To.Tag == "" && s.Digest() != "" {
		return s.To.Repo.At(string(s.Digest())).String()
	}
	return s.To.Repo.Tagged(s.To.Tag).String()
}

// changes says which tags moved from what to what.
func changes(r dray.Report) []string {
	var lines []string
	for _, s := range r.Steps {
		if s.State == dray.Done && s.Replaces != "" && s.Replaces != s.Digest() {
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", targetName(s.Step), s.Replaces, s.Digest()))
		}
	}
	return lines
}

// summary is the last line of a run: "imported 2 tags: 12 blobs sent (45 MiB), 31 requests, 2.1 s".
func summary(past string, r dray.Report, took time.Duration) string {
	done, unchanged, failed := r.Count(dray.Done), r.Count(dray.Unchanged), r.Count(dray.Failed)
	if done == 0 && failed > 0 {
		return strings.Join(pulls(r), ", ")
	}
	head := past + " " + names(r, dray.Done)
	switch {
	case len(r.Steps) == 0 && r.Verb == "batch":
		head = "nothing to do, the list is empty"
	case len(r.Steps) == 0:
		head = "nothing to do, no tags there"
	case done == 0:
		head = "nothing to do, right already: " + names(r, dray.Unchanged)
	case unchanged > 0:
		head += fmt.Sprintf(", %d unchanged", unchanged)
	}
	if failed > 0 {
		head += fmt.Sprintf(", %d failed", failed)
	}
	sep := ": "
	if done == 0 {
		sep = ", "
	}
	return head + sep + strings.Join(slices.Concat(blobs(r), []string{requests(r)}, pulls(r), []string{seconds(took)}), ", ")
}

// pulls tells of each registry that counts them what the run spent, what is left and
// when the window refills: "docker.io: 6 pulls spent, 94 of 100 left, all back by 14:05".
func pulls(r dray.Report) []string {
	var parts []string
	for _, host := range slices.Sorted(maps.Keys(r.Pulls)) {
		p := r.Pulls[host]
		part := host + ": " + plural(p.Spent, "pull") + " spent"
		if p.Left != nil {
			part += fmt.Sprintf(", %d of %d left", *p.Left, p.Limit)
		}
		if p.Refills != nil {
			part += ", all back by " + p.Refills.Local().Format("15:04")
		}
		parts = append(parts, part)
	}
	return parts
}

// names counts what ended in state, by tag and by digest.
func names(r dray.Report, state dray.State) string {
	tags, digests := 0, 0
	for _, s := range r.Steps {
		switch {
		case s.State != state:
		case s.To.Tag == "":
			digests++
		default:
			tags++
		}
	}
	switch {
	case digests == 0:
		return plural(tags, "tag")
	case tags == 0:
		return plural(digests, "digest")
	}
	return plural(tags, "tag") + " and " + plural(digests, "digest")
}

func blobs(r dray.Report) []string {
	var sent, mounted, present int
	var bytes int64
	for _, s := range r.Steps {
		sent, mounted, present, bytes = sent+s.Blobs.Sent, mounted+s.Blobs.Mounted, present+s.Blobs.Present, bytes+s.Blobs.Bytes
	}
	var parts []string
	if sent > 0 {
		parts = append(parts, plural(sent, "blob")+" sent ("+size(bytes)+")")
	}
	if mounted > 0 {
		parts = append(parts, fmt.Sprintf("%d mounted", mounted))
	}
	if present > 0 {
		parts = append(parts, fmt.Sprintf("%d present", present))
	}
	return parts
}

func requests(r dray.Report) string {
	n := 0
	for _, t := range r.Traffic {
		n += t.Requests
	}
	return plural(n, "request")
}
