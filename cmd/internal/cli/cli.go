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
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// IO is the world as a command sees it.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	Env  func(string) string // how variables are read, as os.Getenv
	Home string              // the user's home directory; "" for none
	Run  string              // podman's run directory where $XDG_RUNTIME_DIR is unset; "" for none

	Terminal Terminal

	// Hangup sends when the process is asked to read its files again, by SIGHUP, until the
	// context ends; nil never does.
	Hangup func(context.Context) <-chan os.Signal
}

// Terminal holds what is known of the terminal. The zero Terminal is none: a pipe, a file, a CI log.
type Terminal struct {
	// Progress says that Err is a terminal: bars can be drawn.
	Progress bool
	// Password reads a line of In without echo; nil when nobody can be asked. It returns when
	// its context ends.
	Password func(context.Context) ([]byte, error)
}

// app is one run of the command line.
type app struct {
	console
	common common
	IO     IO
	groups []group
}

func newApp(io IO) *app {
	return &app{IO: io, console: console{out: io.Out, err: io.Err, terminal: io.Terminal.Progress}}
}

// group is a heading of the help and the commands below it.
type group struct {
	title    string
	commands []*cobra.Command
}

// Main runs one command and returns the exit code. Canceling ctx interrupts it: Main returns
// within a second, with code 130.
func Main(ctx context.Context, args []string, io IO) int {
	if io.Env("TERM") == "dumb" {
		io.Terminal.Progress = false // it can not move its cursor
	}
	a := newApp(io)
	root := a.newRoot(args)
	root.SetArgs(args)
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	return a.end(ctx, root.ExecuteContext(ctx))
}

// newRoot makes the command that args are for, below dray's own; all of them where args do not
// begin with a command's name.
func (a *app) newRoot(args []string) *cobra.Command {
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
			return a.printVersion()
		}
		return cmd.Help()
	}
	a.groups = choose(a.headings(), args)
	for _, g := range a.groups {
		root.AddCommand(g.commands...)
	}
	a.common.addTo(root.PersistentFlags(), &a.how)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(a.help)
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
	make func() *cobra.Command
}

func (a *app) headings() []heading {
	return []heading{
		{"Main commands", []maker{{"import", a.newImport}, {"copy", a.newCopy}, {"tag", a.newTag}, {"batch", a.newBatch},
			{"transfer", a.newTransfer}, {"mirror", a.newMirror}, {"plan", a.newPlan}, {"apply", a.newApply}, {"rm", a.newRemove}}},
		{"Looking", []maker{{"ls", a.newList}, {"inspect", a.newInspect}, {"digest", a.newDigest}, {"manifest", a.newManifest},
			{"repository", a.newRepository}, {"check", a.newCheck}, {"verify", a.newVerify}}},
		{"At a server", []maker{{"jobs", a.newJobs}, {"schedules", a.newSchedules}, {"serve", a.newServe}, {"worker", a.newWorker}}},
		{"Setting up", []maker{{"login", a.newLogin}, {"logout", a.newLogout}, {"config", a.newConfig}, {"version", a.newVersion},
			{"completion", newCompletion}, {"man", a.newMan}}},
	}
}

// choose makes the one command that args begin with, else all: making all, with their flags,
// takes as long as a small copy.
func choose(headings []heading, args []string) []group {
	var all []group
	for _, h := range headings {
		for _, m := range h.commands {
			if len(args) > 0 && args[0] == m.name {
				return []group{{h.title, []*cobra.Command{m.make()}}}
			}
		}
	}
	for _, h := range headings {
		g := group{title: h.title}
		for _, m := range h.commands {
			g.commands = append(g.commands, m.make())
		}
		all = append(all, g)
	}
	return all
}
