package app

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/shell"
)

// Next returns the command line for a next step at the server of this run: args, and the configuration and the
// server if they were typed.
func (a *App) Next(args ...string) string {
	add := func(name, value string) {
		if value != "" {
			args = append(args, name, value)
		}
	}
	args = slices.Clone(args)
	add("--config", a.Common.Config)
	add("--server", a.Common.Server)
	return shell.Dray(args...)
}

// NextAt is Next for a step that connects to the registries of this run, and does so in the same way.
func (a *App) NextAt(args ...string) string {
	args = slices.Clone(args)
	if a.Common.PlainHTTP {
		args = append(args, "--plain-http")
	}
	if a.Common.Insecure {
		args = append(args, "--insecure")
	}
	if a.Common.CaFile != "" {
		args = append(args, "--ca-file", a.Common.CaFile)
	}
	return a.Next(args...)
}

// Nearest returns err with another hint if it says that something named want does not exist: the similar ones of
// those that list returns, and the command see, which shows all of them. It calls list only then, and once. what is
// the word for them, in the plural.
func Nearest(err error, what, want, see string, list func() ([]string, error)) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	hint := "see " + see
	have, _ := list() // an error only means that nothing similar is known
	if near := name.Similar(want, have); len(near) > 0 {
		hint = "similar " + what + ": " + strings.Join(near, ", ") + "; " + hint
	}
	return out.WithHint(err, hint)
}

// Again returns the command line that runs cmd once more with the flags that were typed, and with args in
// place of the flag that args begin with.
func Again(cmd *cobra.Command, args ...string) string {
	words := strings.Fields(cmd.CommandPath())[1:]
	words = append(words, cmd.Flags().Args()...)
	words = append(words, flag.Typed(cmd, func(name string) bool { return "--"+name != args[0] })...)
	return shell.Dray(append(words, args...)...)
}
