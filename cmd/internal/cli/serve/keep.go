package serve

import (
	"fmt"
	"strconv"
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
		Short: "Remove content that no image of the registry needs",
		Long: "Remove blobs that no manifest of the server's registry needs. With --untagged, also remove " +
			"manifests that no tag and no index points to, and that are not referrers of an image that stays. " +
			"Content that an image refers to stays, and so do its referrers. Uploads that got no byte for a day are " +
			"removed, too.\n\n" +
			"dray refuses to do this while a server or another gc uses the directory. In an object store with a " +
			"PostgreSQL database, servers go on: they pause changes of content until gc has ended. You may stop " +
			"it at any time.",
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
	flags.BoolVar(&sweep.DryRun, "dry-run", false, "print what would be removed and remove nothing")
	flags.BoolVar(&sweep.Untagged, "untagged", false, "also remove manifests that no tag and no index points to")
	flags.DurationVar(&sweep.Keep, "keep", time.Hour, "keep content that is younger than `DURATION`")
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
			return a.Printf("%s %s; kept %s in %s\n", removed,
				sweptText(sum.Removed.Manifests, sum.Removed.Blobs, sum.Removed.Bytes)+
					uploadsText(sum.Removed.Uploads, sum.Removed.UploadBytes)+tagsText(sum.Removed.Tags),
				sweptText(sum.Kept.Manifests, sum.Kept.Blobs, sum.Kept.Bytes)+
					uploadsText(sum.Kept.Uploads, sum.Kept.UploadBytes),
				out.Repositories(sum.Repositories))
		},
		Header: []string{"WHAT", "MANIFESTS", "BLOBS", "BYTES", "UPLOADS", "UPLOAD BYTES"},
		Rows: func(row func(...string) error) error {
			swept := func(what string, manifests, blobs int, bytes int64, uploads int, uploadBytes int64) error {
				return row(what, strconv.Itoa(manifests), strconv.Itoa(blobs), strconv.FormatInt(bytes, 10),
					strconv.Itoa(uploads), strconv.FormatInt(uploadBytes, 10))
			}
			gone, kept := sum.Removed, sum.Kept
			err := swept(removed, gone.Manifests, gone.Blobs, gone.Bytes, gone.Uploads, gone.UploadBytes)
			if err != nil {
				return err
			}
			return swept("kept", kept.Manifests, kept.Blobs, kept.Bytes, kept.Uploads, kept.UploadBytes)
		},
	})
}

// uploadsText returns a text such as ", 2 unfinished uploads (45 MiB)", or "" for none.
func uploadsText(uploads int, bytes int64) string {
	if uploads == 0 {
		return ""
	}
	return fmt.Sprintf(", %s (%s)", out.Plural(uploads, "unfinished upload"), out.Size(bytes))
}

// tagsText returns a text such as ", 2 tags that were never set", or "" for none.
func tagsText(tags int) string {
	switch tags {
	case 0:
		return ""
	case 1:
		return ", 1 tag that was never set"
	}
	return fmt.Sprintf(", %d tags that were never set", tags)
}

// sweptText returns a text such as "2 manifests, 12 blobs (45 MiB)".
func sweptText(manifests, blobs int, bytes int64) string {
	return fmt.Sprintf("%s, %s (%s)", out.Plural(manifests, "manifest"), out.Plural(blobs, "blob"), out.Size(bytes))
}

func newServeBackup(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy the data of a server to a new directory",
		Long: "Copy jobs, tokens, secrets with their key, and the registry's content to a directory that does not " +
			"exist or is empty. This may run while the server runs, but not during gc.\n\n" +
			"A PostgreSQL database and content in an object store are not copied; use their own tools. The copy " +
			"has the key of the secrets, so whoever can read the copy can read the secrets.",
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
		Short: "Copy a backup to the data directory of a server",
		Long: "Copy a backup to the data directory, which must not exist or must be empty. A backup that was " +
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

func keepServer(
	a *app.App, cmd *cobra.Command, f app.PlaceFlags, done string, do func(*app.Serving, app.Setup) (wire.Saved, error),
) error {
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
			a.Warnf("note: the database is not included; use its own tools, such as pg_dump")
		}
		if !saved.Key {
			a.Warnf("note: the key of the secrets is not included")
		}
		if !saved.Content {
			a.Warnf("note: the registry's content is not included, since it is in an object store")
		}
	}
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(saved) },
		Text: func() error {
			return a.Printf("%s: %s, %s\n", done, out.Plural(saved.Files, "file"), out.Size(saved.Bytes))
		},
		Header: []string{"FILES", "BYTES", "DATABASE", "KEY", "CONTENT"},
		Rows: func(row func(...string) error) error {
			return row(
				strconv.Itoa(saved.Files),
				strconv.FormatInt(saved.Bytes, 10),
				saved.Database,
				strconv.FormatBool(saved.Key),
				strconv.FormatBool(saved.Content),
			)
		},
	})
}
