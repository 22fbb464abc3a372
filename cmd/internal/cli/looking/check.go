package looking

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// NewCheck makes the command dray check.
func NewCheck(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check SOURCE [TARGET]",
		Short: "Find out whether an image can be read and copied",
		Long: "Find out whether SOURCE can be read and, if TARGET is given, copied there. dray checks whether and " +
			"how the registry can be reached, which login is used and where it comes from, and what the login may " +
			"do. It also checks whether the tag exists or which similar tags do, whether the tag is locked, how " +
			"much of the rate limit is left, what the registry supports, and, if TARGET is given, whether the gate of the " +
			"configuration admits the image. dray prints each problem with its " +
			"remedy.\n\n" +
			"This takes a few requests and changes nothing: at TARGET, dray opens an upload and cancels it.\n\n" +
			"The exit code is 0 if there is no problem, else that of the worst finding:\n\n" +
			"  1     the tag is locked, or a registry cannot be reached\n" +
			"  3     not found\n" +
			"  4     denied\n" +
			"  8     a certificate is not trusted, or a gate refuses the image\n" +
			"  75    no pulls are left",
		Example: "  dray check docker.io/library/nginx:1.27\n" +
			"  dray check ghcr.io/acme/app:v1 prod/acme/app\n" +
			"  dray check staging/app:v1 prod/app:v1 -o json \\\n" +
			"      | jq '.sides[].findings[] | select(.state == \"fail\")'",
		Args: func(cmd *cobra.Command, args []string) error {
			return flag.Count(cmd, args, 1, 2, "the source, and the target if there is one")
		},
		RunE: func(cmd *cobra.Command, args []string) error { return check(a, cmd, args) },
	}
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource|flag.AtTarget)
	return cmd
}

func check(a *app.App, cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	req := dray.CheckRequest{Source: args[0]}
	var err error
	if req.SourceLogin, err = a.SourceLogin(ctx); err != nil {
		return err
	}
	if len(args) > 1 {
		req.Target = args[1]
		if req.TargetLogin, err = a.TargetLogin(ctx); err != nil {
			return err
		}
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	s := a.NewStory()
	defer s.End()
	s.Far("checking " + strings.Join(args, " and "))
	report, err := app.Patiently(ctx, app.Grace, func() (dray.CheckReport, error) { return d.Check(ctx, req, s.Observe) })
	s.End()
	if err != nil {
		return err
	}
	if err := printCheck(a, report); err != nil {
		return err
	}
	if err := report.Err(); err != nil {
		return out.Ended(out.ExitCode(err)) // the printed report names the error already
	}
	return nil
}

func printCheck(a *app.App, r dray.CheckReport) error {
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(r) },
		Text: func() error {
			var text strings.Builder
			for _, s := range r.Sides {
				product := ""
				if s.Product != "" {
					product = " (" + s.Product + ")"
				}
				text.WriteString(out.Sprintf("%s: %s%s\n", s.Side, s.Name, product))
				for _, f := range s.Findings {
					text.WriteString(out.Sprintf("  %-9s  %-7s  %s\n", f.What, f.State, out.OneLine(f.Text)))
					if f.Remedy != "" {
						text.WriteString(out.Sprintf("  %-9s  %-7s  -> %s\n", "", "", out.OneLine(f.Remedy)))
					}
				}
			}
			text.WriteString(out.OneLine(r.Verdict) + "\n")
			return a.PrintText(text.String())
		},
		Header: []string{"SIDE", "WHAT", "STATE", "TEXT", "REMEDY"},
		Rows: func(row func(...string) error) error {
			for _, s := range r.Sides {
				for _, f := range s.Findings {
					if err := row(string(s.Side), f.What, string(f.State), out.OneLine(f.Text), out.OneLine(f.Remedy)); err != nil {
						return err
					}
				}
			}
			return nil
		},
	})
}
