package serve

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
)

func newServeGC(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	var sweep app.Sweep
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free what no image of a server's registry needs",
		Long: "Remove blobs that no manifest of the registry needs; with --untagged also manifests that no tag,\n" +
			"no index and no subject leads to. What an image refers to and what refers to it stays. It refuses\n" +
			"while a server or another gc holds the directory, and may be stopped at any point.",
		Example: "  dray serve gc --dry-run\n" +
			"  dray serve gc --untagged --data /srv/dray",
		Args: flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			here, err := serving(cmd.Context(), a)
			if err != nil {
				return err
			}
			s, err := serverSetup(a, cmd, app.ServeFlags{PlaceFlags: f})
			if err != nil {
				return err
			}
			sum, err := here.Collect(cmd.Context(), s, sweep)
			if err != nil {
				return err
			}
			return printCollected(a, sum)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&sweep.DryRun, "dry-run", false, "count what would go, remove nothing")
	flags.BoolVar(&sweep.Untagged, "untagged", false, "manifests too that nothing leads to")
	flags.DurationVar(&sweep.Keep, "keep", time.Hour, "spare what is younger than this `DURATION`")
	addPlaceTo(&f, flags)
	return cmd
}

func printCollected(a *app.App, sum wire.Collected) error {
	removed := "removed"
	if sum.DryRun {
		removed = "would remove"
	}
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(sum) },
		Text: func() error {
			_, err := fmt.Fprintf(a.Out, "%s %s, %s (%s); kept %s, %s (%s) in %s\n", removed,
				out.Plural(sum.Removed.Manifests, "manifest"), out.Plural(sum.Removed.Blobs, "blob"), out.Size(sum.Removed.Bytes),
				out.Plural(sum.Kept.Manifests, "manifest"), out.Plural(sum.Kept.Blobs, "blob"), out.Size(sum.Kept.Bytes), out.Repositories(sum.Repositories))
			return err
		},
		Header: []string{"WHAT", "MANIFESTS", "BLOBS", "BYTES"},
		Rows: func(row func(...string) error) error {
			if err := row(removed, fmt.Sprint(sum.Removed.Manifests), fmt.Sprint(sum.Removed.Blobs), fmt.Sprint(sum.Removed.Bytes)); err != nil {
				return err
			}
			return row("kept", fmt.Sprint(sum.Kept.Manifests), fmt.Sprint(sum.Kept.Blobs), fmt.Sprint(sum.Kept.Bytes))
		},
	})
}

func newServeBackup(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy what a server keeps to a new directory",
		Long: "Copy jobs, tokens, secrets with their key, and the registry's content to a directory that is not\n" +
			"there yet or empty. It may run beside the server, not beside gc. A PostgreSQL database and\n" +
			"content in an object store are not copied: they have tools of their own. Who has the copy can\n" +
			"open the secrets in it.",
		Example: "  dray serve backup /backup/$(date +%F) --data /srv/dray",
		Args:    flag.Exactly(1, "the directory of the copy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return keepServer(a, cmd, f, "backed up to "+args[0], func(here *app.Serving, s app.Setup) (wire.Saved, error) {
				return here.Backup(cmd.Context(), s, args[0])
			})
		},
	}
	addPlaceTo(&f, cmd.Flags())
	return cmd
}

func newServeRestore(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Put a backup where a server starts on it",
		Long: "Copy what backup wrote to the data directory, which is not there yet or empty. A copy that was\n" +
			"not finished is refused.",
		Example: "  dray serve restore /backup/2026-11-21 --data /srv/dray",
		Args:    flag.Exactly(1, "the directory of the copy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return keepServer(a, cmd, f, "restored "+args[0], func(here *app.Serving, s app.Setup) (wire.Saved, error) {
				return here.Restore(cmd.Context(), s, args[0])
			})
		},
	}
	addPlaceTo(&f, cmd.Flags())
	return cmd
}

func keepServer(a *app.App, cmd *cobra.Command, f app.PlaceFlags, done string, do func(*app.Serving, app.Setup) (wire.Saved, error)) error {
	here, err := serving(cmd.Context(), a)
	if err != nil {
		return err
	}
	s, err := serverSetup(a, cmd, app.ServeFlags{PlaceFlags: f})
	if err != nil {
		return err
	}
	saved, err := do(here, s)
	if err != nil {
		return err
	}
	if !a.Quiet {
		if saved.Database != "sqlite" {
			a.Warn("note: the database is not in it: use its own tools, as pg_dump")
		}
		if !saved.Key {
			a.Warn("note: the key that seals secrets is not in it")
		}
		if !saved.Content {
			a.Warn("note: the registry's content is not in it: it is in an object store")
		}
	}
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(saved) },
		Text: func() error {
			_, err := fmt.Fprintf(a.Out, "%s: %s, %s\n", done, out.Plural(saved.Files, "file"), out.Size(saved.Bytes))
			return err
		},
		Header: []string{"FILES", "BYTES", "DATABASE", "KEY", "CONTENT"},
		Rows: func(row func(...string) error) error {
			return row(fmt.Sprint(saved.Files), fmt.Sprint(saved.Bytes), saved.Database, fmt.Sprint(saved.Key), fmt.Sprint(saved.Content))
		},
	})
}
