package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/bundling"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/jobs"
	"github.com/drayage/dray/cmd/internal/cli/looking"
	"github.com/drayage/dray/cmd/internal/cli/mirroring"
	"github.com/drayage/dray/cmd/internal/cli/moving"
	"github.com/drayage/dray/cmd/internal/cli/serve"
	"github.com/drayage/dray/cmd/internal/cli/setup"
)

// Main runs one command and returns its exit code. Canceling ctx interrupts the command: Main then returns
// within a second, with code 130.
func Main(ctx context.Context, args []string, io app.IO) int {
	if io.Env("TERM") == "dumb" {
		io.Terminal.Progress = false // it cannot move its cursor
	}
	if len(args) > 1 && (args[0] == "--help" || args[0] == "-h") {
		args = append(slices.Clone(args[1:]), args[0]) // the help of the command that follows
	}
	io.In = app.UntilDone(ctx, io.In)
	a := app.New(args, io)
	defer a.Flush()
	root := newRoot(a, args)
	root.SetArgs(args)
	root.SetIn(io.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	all := func() *cobra.Command { return newRoot(app.New(nil, io), nil) }
	if a.IO.Only == nil && len(args) > 0 && (!isCommand(args[0]) || len(args) > 1) {
		if err := foreignCommand(root, args, all); err != nil {
			return a.End(ctx, err)
		}
	}
	return a.End(ctx, root.ExecuteContext(ctx))
}

// newRoot makes the command dray, and below it the command that args begin with. If args do not begin
// with the name of a command, it makes all commands.
func newRoot(a *app.App, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "dray",
		Short: "Import, copy and re-tag container images between registries",
		Long: "dray imports, copies and re-tags container images and other OCI artifacts between registries, " +
			"byte for byte, without Docker.",
		Example: "  dray import --name prod --source docker.io/library/nginx:1.27 \\\n" +
			"      --image nginx:1.27\n" +
			"  dray copy ghcr.io/acme/app:v1 registry.example/acme/app:v1\n" +
			"  dray tag registry.example/acme/app:v1 stable",
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true, // package flag makes the suggestions, for commands and for flags
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := flag.RefuseTwice(cmd, args); err != nil {
				return err
			}
			return flag.RefuseUseless(cmd, nil)
		},
	}
	if a.IO.Only != nil {
		asDrayd(root, a.IO.Env)
	}
	version := root.Flags().Bool("version", false, "print the version of dray, as dray version does")
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && a.IO.Only != nil && isCommand(args[0]) {
			why := fmt.Errorf("%s is a command of dray, not of drayd", args[0])
			return flag.UsageError(cmd, why, "use dray in place of drayd")
		}
		return flag.NoneButCommands(cmd, args)
	}
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *version {
			return setup.PrintVersion(a)
		}
		return cmd.Help()
	}
	groups := choose(a, args)
	for _, g := range groups {
		root.AddCommand(g.commands...)
	}
	a.Common.AddTo(root.PersistentFlags(), &a.How)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return foreignFlag(cmd, args, err, func() *cobra.Command { return newRoot(app.New(nil, a.IO), nil) })
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(a.Out, cmd, groups, pageWidth(a.IO.Terminal.Width)) })
	root.SetHelpCommand(&cobra.Command{Use: "help [COMMAND]", Hidden: true, Short: "Show the help of a command",
		Example: "  dray help import", RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return flag.UnknownCommand(root, strings.Join(args, " "))
			}
			return cmd.Help()
		}})
	return root
}

// asDrayd gives the command root the help of the program drayd. If dray has called drayd, the errors name
// the command that the user has typed, which is one of dray.
func asDrayd(root *cobra.Command, env func(string) string) {
	root.Short = "Run the commands of dray that need a database or a registry"
	root.Long = "drayd is the program that carries out dray serve and dray worker. All other commands are those of dray."
	root.Example = "  drayd serve --config /etc/dray/config.yaml\n" +
		"  drayd worker --config /etc/dray/config.yaml --slots 8"
	if env(app.CalledBy) == "" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "drayd"}
	}
}

// isCommand reports whether dray has a command of this name.
func isCommand(name string) bool {
	return slices.ContainsFunc(headings(), func(h heading) bool {
		return slices.ContainsFunc(h.commands, func(m maker) bool { return m.name == name })
	})
}

// heading is a group of the help whose commands are not made yet.
type heading struct {
	title    string
	commands []maker
}

// maker makes the command with its name.
type maker struct {
	name string
	make func(*app.App) *cobra.Command
}

func headings() []heading {
	return []heading{
		{"Main commands", []maker{
			{"import", moving.NewImport},
			{"copy", moving.NewCopy},
			{"tag", moving.NewTag},
			{"batch", moving.NewBatch},
			{"transfer", moving.NewTransfer},
			{"mirror", mirroring.NewMirror},
			{"bundle", bundling.NewBundle},
			{"plan", moving.NewPlan},
			{"apply", moving.NewApply},
			{"rm", moving.NewRemove},
		}},
		{"Reading", []maker{
			{"ls", looking.NewList},
			{"inspect", looking.NewInspect},
			{"referrers", looking.NewReferrers},
			{"digest", looking.NewDigest},
			{"manifest", newManifestAndRemovals},
			{"repository", newRepositoryAndRemovals},
			{"show", looking.NewShow},
			{"check", looking.NewCheck},
			{"verify", looking.NewVerify},
		}},
		{"Server", []maker{
			{"jobs", jobs.NewJobs},
			{"schedules", jobs.NewSchedules},
			{"workers", jobs.NewWorkers},
			{"serve", serve.NewServe},
			{"worker", serve.NewWorker},
		}},
		{"Setup", []maker{
			{"login", setup.NewLogin},
			{"logout", setup.NewLogout},
			{"config", setup.NewConfig},
			{"version", setup.NewVersion},
			{"completion", setup.NewCompletion},
			{"man", newManual},
		}},
	}
}

// choose makes the one command that args begin with, else all commands that this program has. Making
// all of them, with their flags, takes as long as a small copy.
func choose(a *app.App, args []string) (all []group) {
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

// newManual makes dray man for all commands.
func newManual(a *app.App) *cobra.Command {
	return newMan(func() *cobra.Command { return newRoot(app.New(nil, a.IO), nil) })
}

// newRepositoryAndRemovals makes dray repository. Two of its commands remove images, so they are made
// in package moving.
func newRepositoryAndRemovals(a *app.App) *cobra.Command {
	return looking.NewRepository(a, moving.NewUntag(a), moving.NewRepositoryDelete(a))
}

// newManifestAndRemovals makes dray manifest. One of its commands removes images.
func newManifestAndRemovals(a *app.App) *cobra.Command {
	return looking.NewManifest(a, moving.NewManifestDelete(a))
}
