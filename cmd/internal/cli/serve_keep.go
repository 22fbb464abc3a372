package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/wire"
)

func newServeAudit(a *app) *cobra.Command {
	var f PlaceFlags
	var verify bool
	var after int64
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Print a server's audit log, or prove that it is whole",
		Long: "Print who did what, and which digest a name held before and after, in order. Each entry holds\n" +
			"the hash of the one before; --verify reads the whole chain and says whether anything is missing\n" +
			"or was changed. -o json prints a JSON object a line.",
		Example: "  dray serve audit --after 4711\n" +
			"  dray serve audit -o json > audit.jsonl\n" +
			"  dray serve audit --verify --server https://dray.example",
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOffice(cmd, f, func(ctx context.Context, o Office) error {
				if verify {
					if err := o.Verify(ctx); err != nil {
						return err
					}
					return a.print(answer{
						json:   func() error { return a.printJSON(map[string]bool{"whole": true}) },
						text:   func() error { _, err := fmt.Fprintln(a.out, "the audit log is whole"); return err },
						header: []string{"WHOLE"},
						rows:   func(row func(...string) error) error { return row("true") },
					})
				}
				return a.printAudit(ctx, o, after)
			})
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "prove that no entry is missing or was changed")
	cmd.Flags().Int64Var(&after, "after", 0, "only what comes after the entry of this `NUMBER`")
	return a.officeFlags(cmd, &f)
}

// printAudit goes through the log page by page.
func (a *app) printAudit(ctx context.Context, o Office, after int64) error {
	return a.print(answer{
		json: func() error {
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			return eachEntry(ctx, o, after, func(e wire.Entry) error { return enc.Encode(e) })
		},
		text: func() error {
			return eachEntry(ctx, o, after, func(e wire.Entry) error {
				line := fmt.Sprintf("%d  %s  %s  %s", e.Seq, moment(e.At), dashed(e.Principal), e.Verb)
				for _, s := range []string{e.Source, e.Target} {
					if s != "" {
						line += "  " + s
					}
				}
				if e.Old+e.New != "" {
					line += "  " + dashed(e.Old) + " -> " + dashed(e.New)
				}
				_, err := fmt.Fprintln(a.out, oneLine(line))
				return err
			})
		},
		header: []string{"SEQ", "AT", "PRINCIPAL", "VERB", "SOURCE", "TARGET", "OLD", "NEW"},
		rows: func(row func(...string) error) error {
			return eachEntry(ctx, o, after, func(e wire.Entry) error {
				return row(fmt.Sprint(e.Seq), e.At.UTC().Format(time.RFC3339), dashed(e.Principal), e.Verb, dashed(e.Source), dashed(e.Target), dashed(e.Old), dashed(e.New))
			})
		},
	})
}

func eachEntry(ctx context.Context, o Office, after int64, visit func(wire.Entry) error) error {
	for {
		page, next, err := o.Entries(ctx, after)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := visit(e); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		after = next
	}
}

func newServeGC(a *app) *cobra.Command {
	var f PlaceFlags
	var sweep Sweep
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free what no image of a server's registry needs",
		Long: "Remove blobs that no manifest of the registry needs; with --untagged also manifests that no tag,\n" +
			"no index and no subject leads to. What an image refers to and what refers to it stays. It refuses\n" +
			"while a server or another gc holds the directory, and may be stopped at any point.",
		Example: "  dray serve gc --dry-run\n" +
			"  dray serve gc --untagged --data /srv/dray",
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			here, err := a.serving(cmd.Context())
			if err != nil {
				return err
			}
			s, err := a.serverSetup(cmd, ServeFlags{PlaceFlags: f})
			if err != nil {
				return err
			}
			sum, err := here.Collect(cmd.Context(), s, sweep)
			if err != nil {
				return err
			}
			return a.printCollected(sum)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&sweep.DryRun, "dry-run", false, "count what would go, remove nothing")
	flags.BoolVar(&sweep.Untagged, "untagged", false, "manifests too that nothing leads to")
	flags.DurationVar(&sweep.Keep, "keep", time.Hour, "spare what is younger than this `DURATION`")
	f.addTo(flags)
	return cmd
}

func (a *app) printCollected(sum wire.Collected) error {
	removed := "removed"
	if sum.DryRun {
		removed = "would remove"
	}
	return a.print(answer{
		json: func() error { return a.printJSON(sum) },
		text: func() error {
			_, err := fmt.Fprintf(a.out, "%s %s, %s (%s); kept %s, %s (%s) in %s\n", removed,
				plural(sum.Removed.Manifests, "manifest"), plural(sum.Removed.Blobs, "blob"), size(sum.Removed.Bytes),
				plural(sum.Kept.Manifests, "manifest"), plural(sum.Kept.Blobs, "blob"), size(sum.Kept.Bytes), repositories(sum.Repositories))
			return err
		},
		header: []string{"WHAT", "MANIFESTS", "BLOBS", "BYTES"},
		rows: func(row func(...string) error) error {
			if err := row(removed, fmt.Sprint(sum.Removed.Manifests), fmt.Sprint(sum.Removed.Blobs), fmt.Sprint(sum.Removed.Bytes)); err != nil {
				return err
			}
			return row("kept", fmt.Sprint(sum.Kept.Manifests), fmt.Sprint(sum.Kept.Blobs), fmt.Sprint(sum.Kept.Bytes))
		},
	})
}

func newServeBackup(a *app) *cobra.Command {
	var f PlaceFlags
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy what a server keeps to a new directory",
		Long: "Copy jobs, tokens, secrets with their key, and the registry's content to a directory that is not\n" +
			"there yet or empty. It may run beside the server, not beside gc. A PostgreSQL database and\n" +
			"content in an object store are not copied: they have tools of their own. Who has the copy can\n" +
			"open the secrets in it.",
		Example: "  dray serve backup /backup/$(date +%F) --data /srv/dray",
		Args:    exactly(1, "the directory of the copy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.keepServer(cmd, f, "backed up to "+args[0], func(here *Serving, s Setup) (wire.Saved, error) { return here.Backup(cmd.Context(), s, args[0]) })
		},
	}
	f.addTo(cmd.Flags())
	return cmd
}

func newServeRestore(a *app) *cobra.Command {
	var f PlaceFlags
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Put a backup where a server starts on it",
		Long: "Copy what backup wrote to the data directory, which is not there yet or empty. A copy that was\n" +
			"not finished is refused.",
		Example: "  dray serve restore /backup/2026-11-21 --data /srv/dray",
		Args:    exactly(1, "the directory of the copy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.keepServer(cmd, f, "restored "+args[0], func(here *Serving, s Setup) (wire.Saved, error) { return here.Restore(cmd.Context(), s, args[0]) })
		},
	}
	f.addTo(cmd.Flags())
	return cmd
}

func (a *app) keepServer(cmd *cobra.Command, f PlaceFlags, done string, do func(*Serving, Setup) (wire.Saved, error)) error {
	here, err := a.serving(cmd.Context())
	if err != nil {
		return err
	}
	s, err := a.serverSetup(cmd, ServeFlags{PlaceFlags: f})
	if err != nil {
		return err
	}
	saved, err := do(here, s)
	if err != nil {
		return err
	}
	if !a.quiet {
		if saved.Database != "sqlite" {
			a.warn("note: the database is not in it: use its own tools, as pg_dump")
		}
		if !saved.Key {
			a.warn("note: the key that seals secrets is not in it")
		}
		if !saved.Content {
			a.warn("note: the registry's content is not in it: it is in an object store")
		}
	}
	return a.print(answer{
		json: func() error { return a.printJSON(saved) },
		text: func() error {
			_, err := fmt.Fprintf(a.out, "%s: %s, %s\n", done, plural(saved.Files, "file"), size(saved.Bytes))
			return err
		},
		header: []string{"FILES", "BYTES", "DATABASE", "KEY", "CONTENT"},
		rows: func(row func(...string) error) error {
			return row(fmt.Sprint(saved.Files), fmt.Sprint(saved.Bytes), saved.Database, fmt.Sprint(saved.Key), fmt.Sprint(saved.Content))
		},
	})
}
