package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
)

func newServeAudit(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	var verify, head bool
	var against string
	var after int64
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Print the audit log of a server, or prove that it is complete",
		Long: "Print who did what, in order, and the digest of each name before and after. Each entry has the " +
			"hash of the entry before it. --verify reads this whole chain, and reports whether an entry is " +
			"missing or was changed. -o json prints one JSON object per line.\n\n" +
			"Who can write the database can also compute a new chain. So the server signs the last entry with a key " +
			"that is not in the database, each minute, and writes this head to its log, and to the file of " +
			"server.audit-heads. --head prints it. Keep heads where the server cannot change them: " +
			"--verify --against FILE proves that the log still has what they say.",
		Example: "  dray serve audit --after 4711\n" +
			"  dray serve audit -o json > audit.jsonl\n" +
			"  dray serve audit --verify --server https://dray.example\n" +
			"  dray serve audit --head -o json >> heads.jsonl\n" +
			"  dray serve audit --verify --against heads.jsonl",
		Args: flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case against != "" && !verify:
				return flag.UsageError(cmd, errors.New("--against needs --verify"), "add --verify")
			case head && verify, after != 0 && (head || verify):
				return flag.UsageError(cmd, errors.New("--verify, --head and --after exclude each other"), "use one of them")
			}
			return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
				switch {
				case head:
					return printHead(ctx, a, o)
				case verify:
					return verifyAudit(ctx, a, o, against)
				}
				return printAudit(ctx, a, o, after)
			})
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "prove that no entry is missing or was changed")
	cmd.Flags().StringVar(&against, "against", "", "with --verify: prove also that the log has the signed heads in this "+
		"`FILE`, a file of JSON lines or a log of the server in JSON; - is the standard input")
	cmd.Flags().BoolVar(&head, "head", false, "print the last entry, signed by the server")
	cmd.Flags().Int64Var(&after, "after", 0, "print only entries after the entry with this `NUMBER`")
	return officeFlags(a, cmd, &f)
}

// printAudit prints the log, which it reads page by page.
func printAudit(ctx context.Context, a *app.App, o app.Office, after int64) error {
	return a.Print(out.Answer{
		JSON: func() error {
			enc := json.NewEncoder(a.Out)
			enc.SetEscapeHTML(false)
			return eachEntry(ctx, o, after, func(e wire.Entry) error { return enc.Encode(e) })
		},
		Text: func() error {
			return eachEntry(ctx, o, after, func(e wire.Entry) error {
				line := fmt.Sprintf("%d  %s  %s  %s", e.Seq, out.Moment(e.At), out.Dashed(e.Principal), e.Verb)
				for _, s := range []string{e.Source, e.Target} {
					if s != "" {
						line += "  " + s
					}
				}
				if e.Old+e.New != "" {
					line += "  " + out.Dashed(e.Old) + " -> " + out.Dashed(e.New)
				}
				return a.Println(out.OneLine(line))
			})
		},
		Header: []string{"SEQ", "AT", "PRINCIPAL", "VERB", "SOURCE", "TARGET", "OLD", "NEW"},
		Rows: func(row func(...string) error) error {
			return eachEntry(ctx, o, after, func(e wire.Entry) error {
				return row(
					strconv.FormatInt(e.Seq, 10),
					out.Moment(e.At),
					out.Dashed(e.Principal),
					e.Verb,
					out.Dashed(e.Source),
					out.Dashed(e.Target),
					out.Dashed(e.Old),
					out.Dashed(e.New),
				)
			})
		},
	})
}

func eachEntry(ctx context.Context, o app.Office, after int64, visit func(wire.Entry) error) error {
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
