// Package cli is dray's command line: arguments become requests of package dray, events become
// progress, a report becomes text or JSON, and an error's Kind becomes the exit code.
//
// The rules of what is printed where:
//
//   - stdout is the answer and nothing else; with --output json it is one JSON value;
//   - stderr is the story: one line an error, warnings, progress, a summary at the end;
//   - an error is one line, lower case, without a full stop: side, verb, name, cause, hint;
//   - no colour is used anywhere, so NO_COLOR has nothing to turn off.
//
// Main is given all that it uses: nothing here reads the process's arguments, variables or
// standard streams, so many Mains can run in one process.
package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Main runs one command and returns the exit code. Canceling ctx interrupts it: Main returns
// within a second, with code 130.
func Main(ctx context.Context, args []string, io IO) int {
	if io.Env("TERM") == "dumb" {
		io.Terminal.Progress = false // it can not move its cursor
	}
	a := newApp(args, io)
	root := newRoot(a, args)
	root.SetArgs(args)
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	return a.end(ctx, root.ExecuteContext(ctx))
}

// newRoot makes the command that args are for, below dray's own; all of them where args do not
// begin with a command's name.
func newRoot(a *app, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "dray",
		Short: "Import, copy and re-tag container images between registries",
		Long: "dray imports, copies and re-tags container images and other OCI artifacts between\n" +
			"registries, byte for byte, without Docker.",
		Example: "  dray import --name prod --source docker.io/library/nginx:1.27 --image nginx:1.27\n" +
			"  dray copy ghcr.io/acme/app:v1 registry.example/acme/app:v1\n" +
			"  dray tag registry.example/acme/app:v1 stable",
		Args:               cobra.ArbitraryArgs,
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true, // nearest does it, for commands and flags alike
		PersistentPreRunE:  refuseEmpty,
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	version := root.Flags().Bool("version", false, "print dray's version, as dray version does")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(cmd, args[0])
		case *version:
			return printVersion(a)
		}
		return cmd.Help()
	}
	groups := choose(a, args)
	for _, g := range groups {
		root.AddCommand(g.commands...)
	}
	a.common.addTo(root.PersistentFlags(), &a.how)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(a.out, cmd, groups) })
	root.SetHelpCommand(&cobra.Command{Use: "help [command]", Hidden: true, Short: "Help about a command",
		Example: "  dray help import", RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			return cmd.Help()
		}})
	return root
}

// heading is a group whose commands are not made yet.
type heading struct {
	title    string
	commands []maker
}

// maker makes the command of its name.
type maker struct {
	name string
	make func(*app) *cobra.Command
}

func headings() []heading {
	return []heading{
		{"Main commands", []maker{{"import", newImport}, {"copy", newCopy}, {"tag", newTag}, {"batch", newBatch},
			{"transfer", newTransfer}, {"mirror", newMirror}, {"plan", newPlan}, {"apply", newApply}, {"rm", newRemove}}},
		{"Looking", []maker{{"ls", newList}, {"inspect", newInspect}, {"digest", newDigest}, {"manifest", newManifest},
			{"repository", newRepositoryAndRemovals}, {"check", newCheck}, {"verify", newVerify}}},
		{"At a server", []maker{{"jobs", newJobs}, {"schedules", newSchedules}, {"serve", newServe}, {"worker", newWorker}}},
		{"Setting up", []maker{{"login", newLogin}, {"logout", newLogout}, {"config", newConfig}, {"version", newVersion},
			{"completion", newCompletion}, {"man", newManual}}},
	}
}

// choose makes the one command that args begin with, else all, of those that there are: making
// all, with their flags, takes as long as a small copy.
func choose(a *app, args []string) (all []group) {
	there := func(m maker) bool { return a.IO.Only == nil || slices.Contains(a.IO.Only, m.name) }
	headings := headings()
	for _, h := range headings {
		for _, m := range h.commands {
			if len(args) > 0 && args[0] == m.name && there(m) {
				return []group{{h.title, []*cobra.Command{m.make(a)}}}
			}
		}
	}
	for _, h := range headings {
		g := group{title: h.title}
		for _, m := range h.commands {
			if there(m) {
				g.commands = append(g.commands, m.make(a))
			}
		}
		if len(g.commands) > 0 {
			all = append(all, g)
		}
	}
	return all
}

// newManual makes the command about the manual pages of all commands.
func newManual(a *app) *cobra.Command {
	return newMan(func() *cobra.Command { return newRoot(newApp(nil, a.IO), nil) })
}

// newRepositoryAndRemovals is az acr repository, of which two commands remove.
func newRepositoryAndRemovals(a *app) *cobra.Command {
	return newRepository(a, newUntag(a), newRepositoryDelete(a))
}
