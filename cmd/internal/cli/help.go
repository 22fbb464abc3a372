package cli

import (
	"fmt"
	"io"
	"slices"
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

// help prints the help of cmd, with lines of at most width columns: what the command does, its usage,
// examples, the commands below it, and its flags by group.
func help(w io.Writer, cmd *cobra.Command, groups []group, width int) {
	about, usage := aboutOf(cmd)
	fmt.Fprint(w, reflow(about, width))
	fmt.Fprintf(w, "\nUsage:\n%s\n", hanging("  ", usage, 6, width))
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	switch {
	case !cmd.HasParent():
		for _, g := range groups {
			listCommands(w, g.title, g.commands, width)
		}
	case cmd.HasSubCommands():
		listCommands(w, "Commands", cmd.Commands(), width)
	}
	listFlags(w, flagGroups(cmd), width)
	if !cmd.HasParent() {
		fmt.Fprint(w, "\n", reflow(more(cmd), width))
	}
}

// more returns the last line of the help of root: how to see the help of a command.
func more(root *cobra.Command) string {
	line := fmt.Sprintf("%q shows the help of a command.", root.CommandPath()+" COMMAND --help")
	if slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "man" }) {
		line += ` "dray man COMMAND" prints its manual page.`
	}
	return line
}

// aboutOf returns what the help and the manual page of cmd begin with: a description, and the usage.
func aboutOf(cmd *cobra.Command) (about, usage string) {
	about, usage = cmd.Long, cmd.UseLine()
	if about == "" {
		about = cmd.Short + "."
	}
	if !cmd.HasParent() {
		usage = cmd.CommandPath() + " COMMAND [flags]"
	}
	return about, usage
}

func listCommands(w io.Writer, title string, commands []*cobra.Command, width int) {
	fmt.Fprintf(w, "\n%s:\n", title)
	column := 14
	for _, c := range commands {
		column = max(column, len(c.Name())+4)
	}
	for _, c := range commands {
		if !c.Hidden {
			fmt.Fprintln(w, entry("  "+c.Name(), c.Short, column, width))
		}
	}
}

// flagGroup is a heading of the help and the flags below it.
type flagGroup struct {
	title string
	flags []*pflag.Flag
}

// flagGroups returns the flags of cmd that are not hidden, its own and those of the commands above it,
// by their headings. Headings and flags are in the order in which they were added.
func flagGroups(cmd *cobra.Command) (groups []flagGroup) {
	add := func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		title := flag.HeadingOf(f)
		if title == "" {
			title = "Flags"
		}
		at := slices.IndexFunc(groups, func(g flagGroup) bool { return g.title == title })
		if at < 0 {
			at, groups = len(groups), append(groups, flagGroup{title: title})
		}
		groups[at].flags = append(groups[at].flags, f)
	}
	cmd.InheritedFlags() // makes cobra add them to the command's own, as it does before it parses
	cmd.Flags().SortFlags = false
	cmd.Flags().VisitAll(add)
	return groups
}

// widest is the width in columns that a flag with its value may have for its description to begin on the
// same line.
const widest = 30

// listFlags prints the flags by group. All descriptions of a page begin in one column.
func listFlags(w io.Writer, groups []flagGroup, width int) {
	column := 0
	for _, g := range groups {
		for _, f := range g.flags {
			if n := len(flagName(f)); n <= widest {
				column = max(column, n+2)
			}
		}
	}
	for _, g := range groups {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, f := range g.flags {
			fmt.Fprintln(w, entry(flagName(f), flagText(f), column, width))
		}
	}
}

// flagName is "  -f, --file FILE", or "      --rehash[=N%]" if the value may be left out.
func flagName(f *pflag.Flag) string {
	value, _ := pflag.UnquoteUsage(f)
	name := "      --" + f.Name
	if f.Shorthand != "" {
		name = "  -" + f.Shorthand + ", --" + f.Name
	}
	switch {
	case value == "":
		return name
	case f.NoOptDefVal != "":
		return name + "[=" + value + "]"
	}
	return name + " " + value
}

// flagText is the description of a flag with its default, if it has one that is not its type's zero.
func flagText(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	if slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue) {
		return text
	}
	return text + " (default " + strings.Replace(strings.Replace(f.DefValue, "m0s", "m", 1), "h0m", "h", 1) + ")"
}
