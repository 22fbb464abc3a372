package bundling

import (
	"bytes"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

func newHave(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "have TARGET",
		Short: "List what a registry has, for the sender of the next bundle",
		Long: "List all tags of TARGET, the signatures and other referrers that have no tag, and the digest of each blob " +
			"below them, and print the list on stdout, in a compact form: a million blobs have 36 MB. TARGET is HOST, " +
			"HOST/PREFIX/ or oci:DIR/, the same as for dray bundle load. dray reads each manifest once, and asks what " +
			"refers to it. The sender gives the list to dray bundle create --since.\n\n" +
			"A tag that cannot be read is left out, with a note. The next bundle then brings its content again.\n\n" +
			"With -o json, or another format, dray prints what the list counts, and not the list.",
		Example: "  dray bundle have inside.example > have\n" +
			"  dray bundle have inside.example/mirror/ > have",
		Args: flag.Exactly(1, "TARGET: HOST, HOST/PREFIX/ or oci:DIR/"),
		RunE: func(cmd *cobra.Command, args []string) error { return runHave(a, cmd, args[0]) },
	}
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

func runHave(a *app.App, cmd *cobra.Command, target string) error {
	if a.Format == out.FormatText {
		if err := a.NoTerminal("write list", target); err != nil {
			return err
		}
	}
	login, err := a.SourceLogin(cmd.Context())
	if err != nil {
		return err
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	s := a.NewStory()
	defer s.End()
	ctx := cmd.Context()
	var list bytes.Buffer // nothing is printed of a list that is not complete
	has, err := app.Patiently(ctx, app.Grace, func() (dray.Have, error) {
		return d.HaveList(ctx, dray.HaveRequest{Target: target, Login: login, Now: time.Now()}, s.Observe, &list)
	})
	s.End()
	if err != nil {
		return err
	}
	size := list.Len()
	if err := printHave(a, has, &list); err != nil {
		return err
	}
	if !a.Quiet {
		a.Warnf("%s has %s in %s, with %s: %s", has.Of, out.Plural(has.Tags, "tag"), out.Repositories(has.Repositories),
			withReferrers(has), out.Size(int64(size)))
	}
	return nil
}

// withReferrers returns "4 blobs", or "4 blobs and 2 referrers".
func withReferrers(has dray.Have) string {
	if has.Referrers == 0 {
		return out.Plural(has.Blobs, "blob")
	}
	return out.Plural(has.Blobs, "blob") + " and " + out.Plural(has.Referrers, "referrer")
}

// printHave prints the list or, in a format of answers, what it counts.
func printHave(a *app.App, has dray.Have, list *bytes.Buffer) error {
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(has) },
		Text: func() error {
			if err := a.PrintExact(list.Bytes()); err != nil {
				return &fault.Fault{Kind: fault.Unavailable, Op: "write list", Name: "stdout", Err: err}
			}
			return nil
		},
		Header: []string{"OF", "REPOSITORIES", "TAGS", "BLOBS", "REFERRERS"},
		Rows: func(row func(...string) error) error {
			return row(has.Of, strconv.Itoa(has.Repositories), strconv.Itoa(has.Tags), strconv.Itoa(has.Blobs),
				strconv.Itoa(has.Referrers))
		},
	})
}
