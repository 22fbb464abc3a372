package flag

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// Optional refuses more than one argument; what describes that argument for the hint.
func Optional(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return Count(cmd, args, 0, 1, what) }
}

// Gathered makes a command that has only commands below it.
func Gathered(use, short, long, example string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: NoneButCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(below...)
	return cmd
}

// NoneButCommands refuses arguments of a command whose first argument can only be a command below it.
func NoneButCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return UnknownCommand(cmd, args[0])
	}
	return nil
}

// UsageError returns the error of a command line that is wrong. Its hint is hint, and how to see the help.
func UsageError(cmd *cobra.Command, cause error, hint string) error {
	see := "see " + cmd.CommandPath() + " --help"
	switch {
	case strings.HasSuffix(hint, "?"):
		see = hint + " " + see
	case hint != "":
		see = hint + "; " + see
	}
	op := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().CommandPath()+" ")
	if !cmd.HasParent() {
		op = ""
	}
	return &fault.Fault{Kind: fault.Invalid, Op: op, Hint: see, Err: cause}
}

// Translate turns an error of pflag into a UsageError. For an unknown flag it names the most similar one.
func Translate(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return UsageError(cmd, fmt.Errorf("unknown flag -%s", unknown.GetSpecifiedName()), "")
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		return UsageError(cmd, fmt.Errorf("unknown flag %s", name), didYouMean(nearest(name, names)))
	case errors.As(err, &noValue):
		hint := ""
		if noValue.GetFlag().Name == "config" && cmd.Flag("image-config") != nil {
			hint = "use --image-config for the config of an image" // as skopeo means it
		}
		return UsageError(cmd, fmt.Errorf("--%s needs a value", noValue.GetFlag().Name), hint)
	case errors.As(err, &bad):
		hint, why := unreadable(bad)
		return UsageError(cmd, why, hint)
	}
	return UsageError(cmd, err, "")
}

// RefuseTwice refuses a flag of one value that line, the whole command line of cmd, gives two different values: the
// first one would not count. Switches and repeatable flags may be given again.
func RefuseTwice(cmd *cobra.Command, line []string) error {
	if cmd.DisableFlagParsing { // it completes another command line
		return nil
	}
	given := map[string]string{}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.AddFlagSet(cmd.Flags())
	return set.ParseAll(line, func(f *pflag.Flag, value string) error {
		first, again := given[f.Name]
		given[f.Name] = value
		_, repeatable := f.Value.(pflag.SliceValue)
		if !again || first == value || repeatable || f.Value.Type() == "bool" {
			return nil
		}
		return UsageError(cmd, fmt.Errorf("--%s has two values, and takes one", f.Name), "give --"+f.Name+" once")
	})
}

// RefuseUseless refuses flags with a value that could not count: an empty one, or a number or a time that is
// out of its range.
func RefuseUseless(cmd *cobra.Command, args []string) error {
	if err := refuseEmpty(cmd, args); err != nil {
		return err
	}
	as := cmd.Flag("output")
	if as != nil && as.Value.String() == string(out.FormatYAML) && cmd.Flag("query") == nil {
		return UsageError(cmd, errors.New("-o yaml: this command does not print YAML"), "use -o json")
	}
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if hint, why := checkNumber(f); why != nil && err == nil {
			err = UsageError(cmd, why, hint)
		}
	})
	return err
}

// refuseEmpty refuses flags with an empty value, since "--name $UNSET" is a mistake in a script.
func refuseEmpty(cmd *cobra.Command, _ []string) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		empty := f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok {
			empty = slices.Contains(list.GetSlice(), "")
		}
		_, may := f.Annotations[emptyKey]
		// The code that reads the password reports this with az's text.
		if empty && !may && err == nil && f.Name != "password" {
			err = UsageError(cmd, fmt.Errorf("--%s is empty", f.Name), "")
		}
	})
	return err
}

// Exactly refuses any number of arguments but n; what describes them for the hint.
func Exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return Count(cmd, args, n, n, what) }
}

// AtLeast refuses fewer than n arguments; what describes them for the hint.
func AtLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return Count(cmd, args, n, len(args), what) }
}

// Count refuses empty arguments, fewer than least and more than most arguments; what describes them for the
// hint.
func Count(cmd *cobra.Command, args []string, least, most int, what string) error {
	for _, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return UsageError(cmd, errors.New("an argument is empty"), "write "+what)
		}
	}
	if len(args) > most {
		return UsageError(cmd, fmt.Errorf("unexpected argument %q", args[most]), "write "+what)
	}
	if len(args) < least {
		return UsageError(cmd, errors.New(missing(cmd, len(args), least)), "write "+what)
	}
	return nil
}

// missing returns which of the first least arguments of cmd are missing after given of them, such as
// "TARGET is missing". It takes their names from the usage of cmd, up to the first flag.
func missing(cmd *cobra.Command, given, least int) string {
	first, _, _ := strings.Cut(cmd.Use, " | ")
	names := strings.Fields(strings.ReplaceAll(first, "...", ""))[1:]
	switch {
	case len(names) < least:
		return fmt.Sprintf("%d of %d arguments given", given, least)
	case least-given == 1:
		return names[given] + " is missing"
	}
	return strings.Join(names[given:least], " and ") + " are missing"
}

// UnknownCommand returns the error of a command that root does not have, with the most similar command.
func UnknownCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return UsageError(root, fmt.Errorf("unknown command %q", name), didYouMean(nearest(name, names)))
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "did you mean " + name + "?"
}

// nearest returns the name that is most similar to s: it begins with s, or differs from it in at most a
// third of its letters. It returns "" if there is none.
func nearest(s string, names []string) string {
	best, at := "", 1000
	for _, name := range names {
		d := levenshtein.Distance(s, name, nil)
		if strings.HasPrefix(name, s) {
			d = min(d, 1)
		}
		if d < at && d <= max(1, len(name)/3) {
			best, at = name, d
		}
	}
	return best
}
