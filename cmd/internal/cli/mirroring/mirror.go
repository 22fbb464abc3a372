package mirroring

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
)

// NewMirror makes dray mirror.
func NewMirror(a *app.App) *cobra.Command {
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
				return flag.UnknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runMirror(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.addFileTo(cmd)
	flags.BoolVar(&f.once, "once", false, "run the rules now, one after the other; so it is without --watch too")
	flags.BoolVar(&f.watch, "watch", false, "run each rule at its times; the file is read again when it changes, or on SIGHUP")
	flags.StringArrayVar(&f.rules, "rule", nil, "only the rule `NAME`; repeatable (default all that are not paused)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "tell what each rule would do and how far its targets have drifted, write nothing")
	flags.IntVar(&f.parallel, "parallel-rules", 4, "with --watch: at most `N` rules at once")
	flags.IntVar(&a.Common.Images, "parallel-imports", 0, "`N` images in flight for each rule (default 32)")
	a.Common.AddRegistryTo(flags)
	cmd.AddCommand(newMirrorValidate(a), newMirrorSchema(a), newMirrorStatus(a))
	return cmd
}

func (f mirrorFlags) check(cmd *cobra.Command, c flag.Common) error {
	switch {
	case f.once && f.watch:
		return flag.UsageError(cmd, errors.New("--once and --watch"), "keep one of them")
	case f.watch && f.dryRun:
		return flag.UsageError(cmd, errors.New("--watch and --dry-run"), "look once, without --watch")
	case f.parallel < 1 || c.Images < 0:
		return flag.UsageError(cmd, errors.New("not a count"), "1 or more")
	case c.SrcCreds+c.DstCreds != "":
		return flag.UsageError(cmd, errors.New("one login for the many registries of a file"), "logins belong into the configuration; or make them with dray login")
	}
	return nil
}

func runMirror(a *app.App, cmd *cobra.Command, f mirrorFlags) error {
	if err := f.check(cmd, a.Common); err != nil {
		return err
	}
	m, err := f.read(cmd)
	if err != nil {
		return err
	}
	state, err := mirrorState(a, f)
	if err != nil {
		return err
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	if f.watch {
		return watchMirrors(cmd.Context(), a, d, f, m, state)
	}
	return mirrorOnce(cmd.Context(), a, d, f, m, state)
}
