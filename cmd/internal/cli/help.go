package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/flag"
)

// group is a heading of the help and the commands below it.
type group struct {
	title    string
	commands []*cobra.Command
}

// help prints a page: what it does, how it is written, examples, flags by group.
func help(w io.Writer, cmd *cobra.Command, groups []group) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	usage := cmd.UseLine()
	if !cmd.HasParent() {
		usage = "dray COMMAND [flags]"
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", about, usage)
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	switch {
	case !cmd.HasParent():
		for _, g := range groups {
			listCommands(w, g.title, g.commands)
		}
	case cmd.HasSubCommands():
		listCommands(w, "Commands", cmd.Commands())
	}
	for _, group := range []string{"", flag.AtServer, flag.RegistryFlags, flag.EveryCommand} {
		title := group
		if group == "" {
			title = "Flags"
		}
		if text := flagUsages(cmd, group); text != "" {
			fmt.Fprintf(w, "\n%s:\n%s", title, text)
		}
	}
	if !cmd.HasParent() {
		fmt.Fprint(w, "\n\"dray COMMAND --help\" tells more about a command, \"dray man COMMAND\" is its manual page.\n")
	}
}

func listCommands(w io.Writer, title string, commands []*cobra.Command) {
	fmt.Fprintf(w, "\n%s:\n", title)
	width := 10
	for _, c := range commands {
		width = max(width, len(c.Name()))
	}
	for _, c := range commands {
		if !c.Hidden {
			fmt.Fprintf(w, "  %-*s%s\n", width+2, c.Name(), c.Short)
		}
	}
}

func flagUsages(cmd *cobra.Command, group string) string {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	add := func(f *pflag.Flag) {
		if f.Name != "help" && strings.Join(f.Annotations[flag.GroupKey], "") == group && set.Lookup(f.Name) == nil {
			set.AddFlag(f)
		}
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return set.FlagUsages()
}
