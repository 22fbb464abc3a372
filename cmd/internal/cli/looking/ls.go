package looking

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/plan"
)

// NewList makes the command dray ls.
func NewList(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls HOST | HOST/PREFIX/ | HOST/REPO | oci:DIR",
		Short: "List repositories, or the tags of one with their digests",
		Long: "List the repositories of a registry (HOST), those below a prefix (HOST/PREFIX/, with a slash at " +
			"the end), or the tags of one repository with their digests (HOST/REPO). oci:DIR lists the images of " +
			"an OCI image layout on disk.",
		Example: "  dray ls registry.example\n" +
			"  dray ls registry.example/team/\n" +
			"  dray ls prod/app -o table",
		Args: flag.Exactly(1, "HOST, HOST/PREFIX/ or HOST/REPO"),
		RunE: func(cmd *cobra.Command, args []string) error { return list(a, cmd, args[0]) },
	}
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

// list prints entries as they come, so that a long list needs no memory. A table is printed at the end,
// when the widths of its columns are known.
func list(a *app.App, cmd *cobra.Command, name string) error {
	failed := []error{}
	good := 0
	each := func(visit func(dray.Entry) error) error {
		_, err := looking(a, cmd, name, func(ctx context.Context, v view) (struct{}, error) {
			return struct{}{}, v.dray.List(ctx, v.req, v.tell, func(e dray.Entry) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if e.Err != nil {
					failed = append(failed, e.Err)
				} else {
					good++
				}
				return visit(e)
			})
		})
		return err
	}
	err := a.Print(out.Answer{
		JSON: func() error { return listJSON(a, each) },
		Text: func() error {
			return each(func(e dray.Entry) error {
				return a.Println(out.WithDigest(e.Name, string(e.Digest)))
			})
		},
		Header: []string{"NAME", "TAG", "DIGEST"},
		Rows: func(row func(...string) error) error {
			return each(func(e dray.Entry) error { return row(e.Name, e.Tag, string(e.Digest)) })
		},
	})
	if err != nil {
		return err
	}
	for _, err := range failed {
		a.Fail(err)
	}
	if len(failed) > 0 {
		return out.Ended(out.ExitOf(good, failed))
	}
	return nil
}

// listJSON writes {"entries":[…]} entry by entry. If an error ends the list early, the object gets it as
// "error".
func listJSON(a *app.App, each func(func(dray.Entry) error) error) error {
	sep := "{\"entries\":["
	err := each(func(e dray.Entry) error {
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		err = a.PrintText(sep + "\n  " + string(b))
		sep = ","
		return err
	})
	if sep != "," {
		if err != nil {
			return err // nothing is written yet, so the caller prints the error as the answer
		}
		_ = a.PrintText(sep) // the next write has the error, too
	}
	if err == nil {
		return a.PrintText("\n]}\n")
	}
	b, jerr := json.Marshal(plan.ProblemOf(err))
	if jerr != nil {
		return jerr
	}
	_ = a.PrintText("\n],\"error\":" + string(b) + "}\n") // the exit code says it all the same
	a.Fail(err)
	return out.Ended(out.ExitCode(err))
}
