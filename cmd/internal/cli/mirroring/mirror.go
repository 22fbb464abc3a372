package mirroring

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/internal/shell"
)

// NewMirror makes the command dray mirror.
func NewMirror(a *app.App) *cobra.Command {
	var f mirrorFlags
	cmd := &cobra.Command{
		Use:   "mirror -f FILE [--once|--watch]",
		Short: "Keep targets up to date with their sources, by rules with schedules",
		Long: "Run the rules of a file. Each rule copies registries, repositories or images to one or more " +
			"targets, as transfer does. A rule with several targets reads its sources once.\n\n" +
			"--once runs the rules now, in the order of the file. --watch runs each rule at its times until dray " +
			"is stopped. A rule that fails does not stop the others, and a rule never runs twice at the same " +
			"time.\n\n" +
			"The logins for all registries come from the configuration or from dray login. dray mirror has no " +
			"--src-creds and --dst-creds, and ignores $DRAY_SRC_CREDS and $DRAY_DST_CREDS.",
		Example: "  dray mirror -f mirrors.yaml\n" +
			"  dray mirror -f mirrors.yaml --dry-run --rule base-images\n" +
			"  dray mirror -f mirrors.yaml --watch\n" +
			"  dray mirror status -f mirrors.yaml",
		Args: mirrorNames,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMirror(a, cmd, f) },
	}
	flags := cmd.Flags()
	flag.Group(flags, "Which rules", func(set *pflag.FlagSet) {
		f.addFileTo(set, "keep the last results in")
		set.StringArrayVar(&f.rules, "rule", nil,
			"run only the rule `NAME`; repeatable (default all rules that are not paused)")
	})
	flag.Group(flags, "When", func(set *pflag.FlagSet) {
		set.BoolVar(&f.once, "once", false, "run the rules now, one after the other; this is the default")
		set.BoolVar(&f.watch, "watch", false,
			"run each rule at its times until stopped; the file is read again when it changes, or on SIGHUP")
	})
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.BoolVar(&f.dryRun, "dry-run", false,
			"print what each rule would do and how many tags are missing or have another digest, and write nothing")
	})
	flag.Group(flags, flag.Speed, func(set *pflag.FlagSet) {
		set.IntVar(&f.parallel, "parallel-rules", 4, "with --watch: run at most `N` rules at once")
		set.IntVar(&a.Common.Images, "parallel-imports", 0,
			"copy at most `N` images at once for each rule (default 32, or 1 in a rule with delay-seconds)")
	})
	a.Common.AddRegistryTo(flags, flag.ReadsBlobs|flag.SendsBlobs)
	a.Common.AddViaTo(flags)
	a.Common.AddUnseenTo(flags)
	cmd.SetFlagErrorFunc(noCreds)
	cmd.AddCommand(newMirrorValidate(a), newMirrorSchema(a), newMirrorStatus(a))
	return cmd
}

// noCreds is flag.Translate, but for --src-creds and --dst-creds it says how dray mirror logs in. A file
// of rules has many registries, for which one login is not enough.
func noCreds(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && slices.Contains([]string{"src-creds", "dst-creds"}, unknown.GetSpecifiedName()) {
		return flag.UsageError(cmd, fmt.Errorf("unknown flag --%s", unknown.GetSpecifiedName()),
			"store a login for each registry, or set credentials: in the configuration")
	}
	return flag.Translate(cmd, err)
}

func (f mirrorFlags) check(cmd *cobra.Command) error {
	switch {
	case f.once && f.watch:
		return flag.UsageError(cmd, errors.New("--once and --watch both given"), "keep one of them")
	case f.watch && f.dryRun:
		return flag.UsageError(cmd, errors.New("--watch and --dry-run both given"), "leave --watch out")
	case cmd.Flags().Changed("parallel-rules") && !f.watch:
		return flag.UsageError(cmd, errors.New("--parallel-rules without --watch: the rules run one after the other"),
			"add --watch, or leave it out")
	}
	return nil
}

func runMirror(a *app.App, cmd *cobra.Command, f mirrorFlags) error {
	if err := f.check(cmd); err != nil {
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

// mirrorNames refuses arguments that are no command of mirror. Other tools take a source and a target here, or the
// file of the rules.
func mirrorNames(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || len(args) == 1 && !strings.ContainsAny(args[0], "./:") {
		return flag.NoneButCommands(cmd, args)
	}
	hint := "use " + shell.Dray("mirror", "-f", args[0])
	if len(args) > 1 {
		hint = "use " + shell.Dray(append([]string{"transfer"}, args...)...) + " once, or write both into a rule"
	}
	cause := fmt.Errorf("unexpected argument %q: mirror reads rules from the file of -f", args[0])
	return flag.UsageError(cmd, cause, hint)
}
