package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/foreign"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// foreignCommand returns the error of a command line that begins with a command of another tool; nil if it does
// not. all makes the commands of dray.
func foreignCommand(root *cobra.Command, args []string, all func() *cobra.Command) error {
	found, ok := foreign.CommandIn(args, treeOf(all))
	if !ok {
		return nil
	}
	return strange(root, "command", found)
}

// foreignFlag is flag.Translate, but for a flag of another tool it says what dray has.
func foreignFlag(cmd *cobra.Command, args []string, err error, all func() *cobra.Command) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return flag.Translate(cmd, err)
	}
	// A word that is no command is told first: its flags are those of another tool, too.
	if words := cmd.Flags().Args(); len(words) > 0 && cmd.HasSubCommands() {
		if err := cmd.ValidateArgs(words); err != nil {
			return err
		}
	}
	name := "--" + unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		name = "-" + unknown.GetSpecifiedName()
	}
	found, ok := foreign.FlagIn(args, name, treeOf(all))
	if !ok {
		return flag.Translate(cmd, err)
	}
	return strange(cmd, "flag", found)
}

// strange returns the error for a foreign word of a kind: a command or a flag.
func strange(cmd *cobra.Command, kind string, found foreign.Answer) error {
	text := fmt.Sprintf("unknown %s %s", kind, found.Word)
	if found.Of != "" {
		text += " (" + found.Of + ")"
	}
	if found.Why != "" {
		text += ": " + found.Why
	}
	hint := ""
	switch {
	case found.Line != nil:
		hint = "use " + shell.Dray(found.Line...)
	case found.Verb != nil:
		hint := "see " + shell.Dray(append(found.Verb, "--help")...)
		return &fault.Fault{Kind: fault.Invalid, Err: errors.New(text), Hint: hint}
	case found.Flag != "":
		hint = "use " + found.Flag
	}
	return flag.UsageError(cmd, errors.New(text), hint)
}

// treeOf answers what package foreign asks about the commands of dray, which all makes.
func treeOf(all func() *cobra.Command) foreign.Tree {
	fresh := func(words []string) (*cobra.Command, []string) {
		root := all()
		cmd, rest, err := root.Find(words)
		if err != nil || cmd == root {
			return nil, nil
		}
		return cmd, rest
	}
	return foreign.Tree{
		Has: func(words ...string) bool {
			cmd, rest := fresh(words)
			return cmd != nil && len(rest) == 0
		},
		Knows: func(words []string, name string) bool {
			cmd, _ := fresh(words)
			if cmd == nil {
				return false
			}
			if len(name) == 2 {
				return cmd.Flags().ShorthandLookup(name[1:]) != nil || cmd.InheritedFlags().ShorthandLookup(name[1:]) != nil
			}
			return cmd.Flags().Lookup(name[2:]) != nil || cmd.InheritedFlags().Lookup(name[2:]) != nil
		},
		Parses: func(words []string) bool {
			cmd, rest := fresh(words)
			return cmd != nil && cmd.ParseFlags(rest) == nil && cmd.ValidateArgs(cmd.Flags().Args()) == nil
		},
	}
}
