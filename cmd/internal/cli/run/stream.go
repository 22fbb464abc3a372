package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Stream runs a verb and prints its results while it runs.
func Stream(a *app.App, cmd *cobra.Command, w Streaming) error {
	if w.DryRun {
		w.FailedTo = ""
	}
	if err := CheckWritable(w.FailedTo, ""); err != nil {
		return err
	}
	at, err := placeFor(a, cmd, w.Ask, w.DryRun)
	if err != nil {
		return err
	}
	defer at.close()
	return StreamAt(cmd.Context(), a, at, w)
}

// StreamHere is Stream in this process, also if there is a server.
func StreamHere(a *app.App, cmd *cobra.Command, w Streaming) error {
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	return StreamAt(cmd.Context(), a, here{d}, w)
}

// StreamAt is Stream at a place that the caller has found.
func StreamAt(ctx context.Context, a *app.App, at Place, w Streaming) (err error) {
	began := time.Now()
	s := a.NewStory()
	defer s.End()
	t := &teller{app: a, story: s, Streaming: w, out: a.NewReportOut(),
		states: map[dray.State]int{}, attached: map[dray.State]int{}, open: map[ref.Repo]*unfinished{},
		attachedTo: map[plan.Action]int{}}
	if w.DryRun {
		t.out = a.NewPlanOut(w.head())
	}
	again := slices.Concat([]string{"batch"}, flag.PlatformWords(w.Platforms), []string{"--force", "-f", w.FailedTo})
	if t.list, err = newFailedList(w.FailedTo, a.NextAt(again...)); err != nil {
		return err
	}
	defer t.list.discard()
	var sum dray.TransferReport
	if w.DryRun {
		sum, err = at.planEach(ctx, w, s, t.begin, t.planned)
	} else {
		sum, err = at.runEach(ctx, w, s, t.finished)
	}
	if left, ok := errors.AsType[*leftOn](err); ok {
		s.End()
		return tellGoesOn(a, left)
	}
	return t.end(ctx, sum, err, time.Since(began))
}

// teller prints the results of a stream. After end it prints nothing, so that a run that did not return
// after an interrupt does not disturb the output.
type teller struct {
	app   *app.App
	story *out.Story
	Streaming
	out  out.Steps
	list *failedList

	mu           sync.Mutex
	over         bool
	open         map[ref.Repo]*unfinished // repositories that come in parts
	repositories int                      // repositories that are done
	sparse       sparse
	good         int // steps that are done or up to date, or would be
	works        int // in a plan: steps that would do something
	done         int
	failed       int
	arrived      int // failed steps whose image is there
	states       map[dray.State]int
	attached     map[dray.State]int  // steps of digest tags that are no tags of their own
	attachedTo   map[plan.Action]int // the same, in a plan
	code         int                 // the exit code that all failures share; ExitFailed if they differ
}

// unfinished is what was done so far for a repository.
type unfinished struct {
	told     map[string]bool // lines of errors
	states   map[dray.State]int
	steps    int
	retagged int
}

// of returns what was done so far for a repository. more says that there is more to come.
func (t *teller) of(to ref.Repo, more bool) *unfinished {
	u := t.open[to]
	if u == nil {
		u = &unfinished{told: map[string]bool{}, states: map[dray.State]int{}}
		t.open[to] = u
	}
	if !more {
		delete(t.open, to)
		t.repositories++
	}
	return u
}

// begin takes what a plan says before its steps.
func (t *teller) begin(head plan.Plan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.out = t.app.NewPlanOut(head)
	}
}

// planned prints the plan of one repository.
func (t *teller) planned(p dray.RepositoryPlan) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return out.ErrOver
	}
	u, steps := t.of(p.To, p.More), t.asReports(p.Steps)
	own, repeats := report.Repository{Steps: steps, Part: p.Part}.Tags(), report.Repeats(steps)
	for _, s := range steps {
		switch {
		case repeats(s):
		case s.Err != nil:
			t.failure(u.told, s)
		case !own(s):
			t.attachedTo[s.Action]++
			t.good++
		default:
			t.good++
		}
		if s.Works() {
			t.works++
		}
		s.Err = nil
		if err := t.out.Step(s); err != nil {
			return err
		}
	}
	t.story.Far(out.Repositories(t.repositories) + " planned")
	return t.out.Flush()
}

// asReports returns the steps of a plan, each with the reason why it cannot be done.
func (t *teller) asReports(steps []plan.Step) []dray.StepReport {
	all := make([]dray.StepReport, len(steps))
	for i, s := range steps {
		all[i].Step = s
		switch s.Action {
		case plan.Conflict:
			all[i].Err = conflict(t.Verb, s, "use --overwrite update to replace it")
		case plan.Broken, plan.Refused:
			all[i].Err = s.Problem.Err()
		}
	}
	return all
}

// finished prints the results of one repository.
func (t *teller) finished(r dray.RepositoryReport) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return out.ErrOver
	}
	u := t.of(r.To, r.More)
	own, repeats := r.Tags(), report.Repeats(r.Steps)
	for _, s := range r.Steps {
		if !own(s) && s.Err == nil || repeats(s) { // it is counted with what refers to images
			t.attached[s.State]++
			if err := t.attach(s); err != nil {
				return err
			}
			continue
		}
		u.states[s.State]++
		t.states[s.State]++
		t.sparse.add(s)
		if s.State == dray.Done && s.Retags() {
			u.retagged++
		}
		if s.Err != nil {
			t.failure(u.told, s)
		}
		if s.Arrived {
			t.arrived++
		}
		if s.State != dray.Done && s.State != dray.Unchanged {
			if err := t.list.add(s); err != nil {
				return err
			}
		}
		if err := t.out.Step(s); err != nil {
			return err
		}
	}
	t.good, t.done = t.states[dray.Done]+t.states[dray.Unchanged], t.states[dray.Done]
	u.steps += len(r.Steps)
	t.story.Far(fmt.Sprintf("%s done, %s copied", out.Repositories(t.repositories), out.Plural(t.done, "tag")))
	if !r.More && u.steps > u.states[dray.Unchanged] && !t.app.Quiet {
		t.story.Say(repositoryLine(r, u.states, u.retagged))
	}
	return t.out.Flush()
}

// attach writes a step of a digest tag, as far as it is no tag of its own: in JSON, and if it is to be done again.
func (t *teller) attach(s dray.StepReport) error {
	if s.State != dray.Done && s.State != dray.Unchanged {
		if err := t.list.add(s); err != nil {
			return err
		}
	}
	if t.app.Format == out.FormatJSON {
		return t.out.Step(s)
	}
	return nil
}

// repositoryLine returns a line such as "HOST/REPO: 3 done (1 re-tagged), 47 unchanged, 1 failed, 2.1 s".
func repositoryLine(r dray.RepositoryReport, states map[dray.State]int, retagged int) string {
	var parts []string
	for _, state := range []dray.State{dray.Done, dray.Unchanged} {
		if n := states[state]; n > 0 {
			part := fmt.Sprintf("%d %s", n, state)
			if state == dray.Done && retagged > 0 {
				part += fmt.Sprintf(" (%d re-tagged)", retagged)
			}
			parts = append(parts, part)
		}
	}
	parts = append(parts, out.Left(states)...)
	if r.Took > 0 { // the report of a server does not have it
		parts = append(parts, out.Seconds(r.Took))
	}
	return r.To.String() + ": " + strings.Join(parts, ", ")
}

// failure prints the error of a step. The steps of one image may have the same error, which is printed once.
func (t *teller) failure(told map[string]bool, s dray.StepReport) {
	if code := out.ExitCode(s.Err); t.failed == 0 {
		t.code = code
	} else if t.code != code {
		t.code = out.ExitFailed
	}
	t.failed++
	prefix := ""
	if s.To.Tag != "" {
		prefix = prefixOf(s)
	}
	line := strings.TrimPrefix(out.ErrorLine(named{prefix, s.Err}), "dray: ")
	if !told[line] && !fault.Is(s.Err, fault.Canceled) {
		told[line] = true
		t.story.Say(line)
	}
}

// prefixOf returns the name of the target of s for its error, unless the error names it.
func prefixOf(s dray.StepReport) string {
	prefix := out.TargetName(s.Step) + ": "
	if strings.Contains(s.Err.Error(), prefix) {
		return ""
	}
	return prefix
}

// end prints notes and the summary of the whole run, and returns the exit code as an error.
func (t *teller) end(ctx context.Context, sum dray.TransferReport, err error, took time.Duration) error {
	t.story.End()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	sum.Verb = cmp.Or(sum.Verb, t.Verb) // sum is empty if the run did not return after an interrupt
	interrupted := err != nil && ctx.Err() != nil
	var whole error                   // an error of the whole run, not of a step
	if err != nil && err != sum.Err { //nolint:errorlint // the very same value
		whole = err
	}
	if perr := t.out.End(sum, whole); perr != nil {
		return perr
	}
	quiet := t.app.Quiet
	if !quiet {
		for _, n := range sum.Notes {
			t.app.Warnf("note: %s", n)
		}
		t.retags(sum)
		for _, line := range out.LostReferrers(sum.Referrers) {
			t.app.Warnf("%s", line)
		}
	}
	missed := t.app.TellLost(sum.InUse)
	where, lost := t.list.keep()
	canceled := fault.Is(err, fault.Canceled)
	if where != "" && (interrupted || canceled) {
		where += ", without the repositories that were not planned yet"
	}
	tellKept(t.app, where, lost)
	switch {
	case interrupted || canceled:
		done := out.Plural(t.done, "tag") + " done"
		if t.DryRun {
			done = out.Repositories(t.repositories) + " planned"
		}
		return stopped(ctx, t.app, done, t.states, err)
	case whole != nil:
		t.app.Fail(whole)
		return out.Ended(out.ExitCode(whole))
	}
	if !quiet {
		t.app.Warnf("%s%s", t.summary(sum, took), t.sparse.tail(t.app))
	}
	if t.DryRun && t.Hold == plan.All {
		t.good -= t.works // one step that is not possible stops them all
	}
	switch {
	case t.failed > 0 && (t.good > 0 || t.arrived > 0):
		return out.Ended(out.ExitPartly)
	case t.failed > 0:
		return out.Ended(t.code)
	case lost != nil:
		return out.Ended(out.ExitFailed)
	case missed > 0:
		return out.Ended(out.ExitPartly)
	}
	return nil
}

// without returns how many steps ended in each state, without those that are counted with what refers to images.
func (t *teller) without(all map[dray.State]int) map[dray.State]int {
	own := map[dray.State]int{}
	for state, n := range all {
		own[state] = n - t.attached[state]
	}
	return own
}

// retags prints the tags that had another digest before.
func (t *teller) retags(sum dray.TransferReport) {
	if sum.Retagged == 0 {
		return
	}
	t.app.Warnf("re-tagged artifacts: %d", sum.Retagged)
	for _, m := range sum.Retags {
		line := "  " + out.RetagLine(m.To.String(), m.Was, m.Is, m.Kept)
		if m.State != "" && m.State != dray.Done {
			line += fmt.Sprintf(" (%s)", strings.ReplaceAll(string(m.State), "_", " "))
		}
		t.app.Warnf("%s", line)
	}
	if more := sum.Retagged - len(sum.Retags); more > 0 {
		t.app.Warnf("  and %d more", more)
	}
}

// summary returns the last line.
func (t *teller) summary(sum dray.TransferReport, took time.Duration) string {
	r := dray.Report{Steps: []dray.StepReport{{Blobs: sum.Blobs}}, Traffic: sum.Traffic, Pulls: sum.Pulls}
	if t.DryRun {
		sum.Referrers.Planned += t.attachedTo[plan.Copy]
	}
	tail := slices.Concat(out.Blobs(r), out.Referrers(sum.Referrers),
		[]string{out.Requests(r)}, out.Pulls(r), []string{out.Seconds(took)})
	parts := []string{}
	count := func(n int, word string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	var head string
	if t.DryRun {
		head = "planned " + out.Repositories(sum.Repositories)
		count(sum.Actions[plan.Copy]-t.attachedTo[plan.Copy], "to copy")
		count(sum.Retagged, "to re-tag")
		count(sum.Actions[plan.Replace]+sum.Actions[plan.Retag]-sum.Retagged, "to write again")
		count(sum.Actions[plan.Skip]-t.attachedTo[plan.Skip], "up to date")
		count(sum.Locked, "to lock")
		count(t.failed, "not possible")
		if t.Hold == plan.All && t.failed > 0 {
			parts = append(parts, "so nothing would be done")
		}
	} else {
		done := out.Plural(t.without(sum.States)[dray.Done], "tag")
		head = fmt.Sprintf("%s %s in %s", t.Past, done, out.Repositories(sum.Repositories))
		count(sum.Retagged, "re-tagged")
		count(t.without(sum.States)[dray.Unchanged], "unchanged")
		count(sum.Healed, "healed")
		count(sum.Locked, "locked")
		parts = append(parts, out.Left(t.without(sum.States))...)
	}
	count(sum.Untagged, "without a tag")
	if sum.InUse != nil {
		parts = append(parts, out.InUse(sum.InUse))
	}
	line := strings.Join(append([]string{head}, parts...), ", ") + ": " + strings.Join(tail, ", ")
	if sum.Unproven > 0 {
		line += fmt.Sprintf("; content of %s not proven yet: %s", out.Plural(sum.Unproven, "tag"), t.Proof())
	}
	return line
}
