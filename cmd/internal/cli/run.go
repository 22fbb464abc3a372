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
	hold    plan.Hold
	plan    func(context.Context, *dray.Dray, event.Observer) (*dray.Plan, error)
	ask     ask                      // the same at a server
	note    func([]plan.Step) string // what else a person should know of a plan; nil is nothing

	// keep writes down what is left to do, and says where; nil keeps nothing. It gets no steps where
	// no plan could be made, for the reason why.
	keep func(d *dray.Dray, steps []dray.StepReport, why error) (where string, err error)
}

// notes are those of the command itself about a plan.
func (w writing) notes(steps []plan.Step) []string {
	if w.note == nil {
		return nil
	}
	if text := w.note(steps); text != "" {
		return []string{text}
	}
	return nil
}

// write plans, then prints the plan or applies it and prints the report.
func (a *app) write(cmd *cobra.Command, w writing) error {
	at, err := a.place(cmd, w.ask, w.dryRun)
	if err != nil {
		return err
	}
	defer at.close()
	return a.writeAt(cmd.Context(), at, w)
}

func (a *app) writeAt(ctx context.Context, at place, w writing) error {
	began := time.Now()
	s := a.newStory()
	defer s.end()
	var left *leftOn
	if w.dryRun {
		p, err := at.plan(ctx, w, s)
		s.end()
		if errors.As(err, &left) {
			return a.tellGoesOn(left)
		}
		if err != nil {
			return err
		}
		return a.showPlan(p, w)
	}
	p, report, err := at.write(ctx, w, s)
	s.end()
	if errors.As(err, &left) {
		return a.tellGoesOn(left)
	}
	where, lost := a.keepRest(w, at.names(), report.Steps, err) // before the report: stdout may be a pipe that is broken
	if p == nil {
		a.tellKept(where, lost)
		return err
	}
	ending := a.showReport(ctx, w, time.Since(began), *p, report, err)
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
	case where != "" && !a.quiet:
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
		text: func() error { _, err := fmt.Fprint(a.out, p); return err },
		json: func() error { return p.Write(a.out) },
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
	if !a.quiet {
		for _, line := range changes(r) {
			a.warn("%s", line)
		}
	}
	canceled := !interrupted && fault.Is(err, fault.Canceled) // at a server, by somebody
	failures := a.tellFailures(w, r, err, interrupted || canceled)
	done := r.Count(dray.Done) + r.Count(dray.Unchanged)
	switch {
	case canceled:
		a.warn("canceled: %d of %d steps done", done, len(p.Steps))
		return ended(exitInterrupted)
	case interrupted:
		a.warn("interrupted: %d of %d steps done; run the same command again to go on", done, len(p.Steps))
		return ended(exitInterrupted)
	}
	if line := summary(w.past, r, took); line != "" && !a.quiet {
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
			lines = append(lines, retagLine(targetName(s.Step), string(s.Replaces), string(s.Digest()), s.Backup))
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
