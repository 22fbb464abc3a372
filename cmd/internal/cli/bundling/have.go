package bundling

import (
	"bytes"
	"fmt"
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
		Long: "List all tags of TARGET and the digest of each blob below them, and print the list on stdout, in a " +
			"compact form: a million blobs have some 36 MB. TARGET is HOST or HOST/PREFIX/, the same as for dray " +
			"bundle load. dray reads each manifest once. The sender gives the list to dray bundle create --since.\n\n" +
			"A tag that cannot be read is left out, with a note. The next bundle then brings its content again.",
		Example: "  dray bundle have inside.example > have\n" +
			"  dray bundle have inside.example/mirror/ > have",
		Args: flag.Exactly(1, "TARGET: HOST or HOST/PREFIX/"),
		RunE: func(cmd *cobra.Command, args []string) error { return runHave(a, cmd, args[0]) },
	}
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

func runHave(a *app.App, cmd *cobra.Command, target string) error {
	if cmd.Flags().Changed("output") {
		return flag.UsageError(cmd, fmt.Errorf("-o %s: the list has one format", a.Format),
			"write the list to a file: > have")
	}
	if err := a.NoTerminal("write list", target); err != nil {
		return err
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
	if _, err := list.WriteTo(a.Out); err != nil {
		return &fault.Fault{Kind: fault.Unavailable, Op: "write list", Name: "stdout", Err: err}
	}
	if !a.Quiet {
		a.Warnf("%s has %s in %s, with %s: %s", has.Of, out.Plural(has.Tags, "tag"), out.Repositories(has.Repositories),
			out.Plural(has.Blobs, "blob"), out.Size(int64(size)))
	}
	return nil
}
