package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// mirrorFlags are those of mirror.
type mirrorFlags struct {
	file     string
	once     bool
	watch    bool
	dryRun   bool
	rules    []string
	state    string
	parallel int
}

func newMirror(a *app) *cobra.Command {
	var f mirrorFlags
	cmd := &cobra.Command{
		Use:   "mirror -f FILE [--once|--watch]",
		Short: "Keep what registries hold at others too, by rules with schedules",
		Long: "Run the rules of a file: each brings registries, repositories or images to one or more targets,\n" +
			"as transfer does, with one reading for all targets. --once runs them now, in their order;\n" +
			"--watch runs each at its times until it is stopped. A rule that fails stops no other, and of one\n" +
			"rule there are never two runs at once.",
		Example: "  dray mirror -f mirrors.yaml\n" +
			"  dray mirror -f mirrors.yaml --dry-run --rule base-images\n" +
			"  dray mirror -f mirrors.yaml --watch\n" +
			"  dray mirror status -f mirrors.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runMirror(cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.addFileTo(cmd)
	flags.BoolVar(&f.once, "once", false, "run the rules now, one after the other; so it is without --watch too")
	flags.BoolVar(&f.watch, "watch", false, "run each rule at its times; the file is read again when it changes, or on SIGHUP")
	flags.StringArrayVar(&f.rules, "rule", nil, "only the rule `NAME`; repeatable (default all that are not paused)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "tell what each rule would do and how far its targets have drifted, write nothing")
	flags.IntVar(&f.parallel, "parallel-rules", 4, "with --watch: at most `N` rules at once")
	flags.IntVar(&a.common.images, "parallel-imports", 0, "`N` images in flight for each rule (default 32)")
	a.common.addRegistryTo(flags)
	cmd.AddCommand(newMirrorValidate(a), newMirrorSchema(a), newMirrorStatus(a))
	return cmd
}

// addFileTo adds the flags of all that reads a file of rules.
func (f *mirrorFlags) addFileTo(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "the rules, a `FILE`")
	cmd.Flags().StringVar(&f.state, "state", "", "keep the last results in `DIR` (default below $DRAY_STATE_DIR, else ~/.local/state/dray)")
}

// read reads the file and takes the rules that are asked for.
func (f mirrorFlags) read(cmd *cobra.Command) (config.Mirrors, error) {
	if f.file == "" {
		return config.Mirrors{}, usageError(cmd, errors.New("no file of rules"), "name one with -f")
	}
	return f.pick(config.ReadMirrors(f.file))
}

func (f mirrorFlags) pick(m config.Mirrors, err error) (config.Mirrors, error) {
	if err != nil {
		return m, err
	}
	var names []string
	for _, r := range m.Rules {
		names = append(names, r.Name)
	}
	for _, name := range f.rules {
		if !slices.Contains(names, name) {
			return m, &fault.Fault{Kind: fault.Invalid, Op: "read mirrors", Name: f.file, Err: fmt.Errorf("no rule is called %q", name), Hint: "it has: " + strings.Join(names, ", ")}
		}
	}
	m.Rules = slices.DeleteFunc(m.Rules, func(r config.Mirror) bool {
		if len(f.rules) == 0 {
			return r.Paused
		}
		return !slices.Contains(f.rules, r.Name)
	})
	return m, nil
}

func (f mirrorFlags) check(cmd *cobra.Command, c common) error {
	switch {
	case f.once && f.watch:
		return usageError(cmd, errors.New("--once and --watch"), "keep one of them")
	case f.watch && f.dryRun:
		return usageError(cmd, errors.New("--watch and --dry-run"), "look once, without --watch")
	case f.parallel < 1 || c.images < 0:
		return usageError(cmd, errors.New("not a count"), "1 or more")
	case c.srcCreds+c.dstCreds != "":
		return usageError(cmd, errors.New("one login for the many registries of a file"), "logins belong into the configuration; or make them with dray login")
	}
	return nil
}

func (a *app) runMirror(cmd *cobra.Command, f mirrorFlags) error {
	if err := f.check(cmd, a.common); err != nil {
		return err
	}
	m, err := f.read(cmd)
	if err != nil {
		return err
	}
	state, err := a.mirrorState(f)
	if err != nil {
		return err
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer d.Close()
	if f.watch {
		return a.watchMirrors(cmd.Context(), d, f, m, state)
	}
	return a.mirrorOnce(cmd.Context(), d, f, m, state)
}

// mirrorState is where results are kept.
func (a *app) mirrorState(f mirrorFlags) (mirror.State, error) {
	if f.state != "" {
		return mirror.State{Dir: f.state}, nil
	}
	return mirror.StateFor(a.stateDir(), f.file)
}

// mirrored is the answer of --once.
type mirrored struct {
	Verb   string          `json:"verb"`
	File   string          `json:"file"`
	DryRun bool            `json:"dryRun,omitempty"`
	Rules  []mirror.Result `json:"rules"` // in the order of the file
	Took   time.Duration   `json:"tookNanoseconds"`
}

// mirrorOnce runs the rules one after the other.
func (a *app) mirrorOnce(ctx context.Context, d *dray.Dray, f mirrorFlags, m config.Mirrors, state mirror.State) error {
	s := a.newStory()
	defer s.end()
	t := a.newRuleTeller(f.dryRun, s.say)
	all := mirrored{Verb: "mirror", File: f.file, DryRun: f.dryRun, Rules: []mirror.Result{}}
	began := time.Now()
	for _, rule := range m.Rules {
		s.far(rule.Name)
		r := a.runRule(ctx, d, rule, state, s.observe, t)
		all.Rules = append(all.Rules, r)
		for _, line := range ruleLines(r) {
			if !a.quiet || r.Err() != nil && strings.Contains(line, ": failed: ") {
				s.say(line)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	all.Took = time.Since(began)
	s.end()
	if err := t.end(all); err != nil {
		return err
	}
	return a.mirrorEnded(ctx, all, len(m.Rules))
}

// mirrorEnded tells how the whole ended, as an exit code.
func (a *app) mirrorEnded(ctx context.Context, all mirrored, rules int) error {
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
		a.warn("interrupted: %d of %s begun; run the same command again to go on", len(all.Rules), plural(rules, "rule"))
		return ended(exitInterrupted)
	}
	if !a.quiet {
		line := fmt.Sprintf("mirrored by %s, %s", plural(len(all.Rules), "rule"), seconds(all.Took))
		if len(failures) > 0 {
			line = fmt.Sprintf("mirrored by %s, %d not well, %s", plural(len(all.Rules), "rule"), len(failures), seconds(all.Took))
		}
		if all.DryRun {
			line = strings.Replace(line, "mirrored by", "looked at", 1)
		}
		a.warn("%s", line)
	}
	if len(failures) == 0 {
		return nil
	}
	return ended(exitOf(good, failures))
}

// runRule runs one rule, unless another process does, and keeps the result.
func (a *app) runRule(ctx context.Context, d *dray.Dray, rule config.Mirror, state mirror.State, obs event.Observer, t *ruleTeller) mirror.Result {
	mode := mirror.Write
	if t.dryRun {
		mode = mirror.DryRun
	}
	if mode == mirror.Write {
		unlock, alone, err := state.Lock(ctx, rule.Name)
		switch {
		case err != nil:
			t.say(strings.TrimPrefix(errorLine(err), "dray: "))
		case !alone:
			return mirror.Result{Rule: rule.Name, Outcome: mirror.Skipped, Began: time.Now(), Notes: []string{"another process runs this rule"}}
		default:
			defer unlock()
		}
	}
	began := time.Now()
	r, err := patiently(ctx, grace, func() (mirror.Result, error) {
		return mirror.Run(ctx, d, rule, mode, obs, t.steps), nil
	})
	if err != nil { // it was left behind
		t.stop()
		r = mirror.StoppedResult(rule.Name, began, err)
	}
	if err := state.Write(r); err != nil {
		t.say(strings.TrimPrefix(errorLine(err), "dray: "))
	}
	return r
}

// ruleLines tell of one run: notes, what failed, and a summary at the end.
func ruleLines(r mirror.Result) []string {
	var lines []string
	for _, n := range r.Notes {
		lines = append(lines, r.Rule+": note: "+n)
	}
	told := 0
	for _, t := range r.Targets {
		for _, f := range t.Failures {
			told++
			lines = append(lines, problemLine(r.Rule+": failed: ", f.To, f.Error))
		}
	}
	if told == 0 && r.Error != nil {
		lines = append(lines, problemLine(r.Rule+": failed: ", "", *r.Error))
	}
	for _, t := range r.Targets {
		lines = append(lines, r.Rule+": "+targetLine(t, r.DryRun))
	}
	tail := []string{requests(dray.Report{Traffic: r.Traffic}), seconds(r.Took)}
	tail = append(blobs(dray.Report{Steps: []dray.StepReport{{Blobs: r.Blobs}}}), tail...)
	head := fmt.Sprintf("%s: %s", r.Rule, r.Outcome)
	if r.Outcome != mirror.Skipped {
		head += fmt.Sprintf(", drift %d, left %d: %s", r.Drift, r.Left, strings.Join(tail, ", "))
	}
	return append(lines, head)
}

func problemLine(before, name string, p dray.Problem) string {
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

// targetLine is "prod.example: 3 done (2 missing, 1 re-tagged), 47 unchanged, 1 failed".
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
	return line
}
