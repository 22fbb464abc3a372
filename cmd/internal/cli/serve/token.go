package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/plan"
)

func newServeToken(a *app.App) *cobra.Command {
	return flag.Gathered("token create|list|revoke", "Make, list and revoke API tokens of a server",
		"Make, list and revoke the tokens by which people and programs show who they are: as DRAY_TOKEN, as\n"+
			"Bearer, or as the password of any user for docker and az. Works on the data directory or the\n"+
			"database while no server holds it, else through the server as its admin.",
		"  dray serve token create alice --role admin\n  dray serve token list --server https://dray.example\n  dray serve token revoke yp3k2m7qaz",
		newTokenCreate(a), newTokenList(a), newTokenRevoke(a))
}

func newTokenCreate(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	var role, name, expires string
	cmd := &cobra.Command{
		Use:   "create PRINCIPAL",
		Short: "Make a token, and show it once",
		Long: "Make a token for a principal: the name of a person or of a program, by which rules grant rights and\n" +
			"jobs are owned. A reader looks and watches its own jobs, a submitter also asks for what rules\n" +
			"grant it, an admin may everything. The token is printed here and never again. From the first\n" +
			"token on nobody is an admin by coming from this machine.",
		Example: "  dray serve token create ci --role submitter --expires 30d\n" +
			"  DRAY_TOKEN=$(dray serve token create alice --role admin --data /srv/dray)",
		Args: flag.Exactly(1, "PRINCIPAL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := wire.NewToken{Principal: args[0], Name: name, Role: wire.Role(role)}
			if expires != "" {
				age, err := plan.ParseAge(expires)
				if err != nil {
					return flag.UsageError(cmd, fmt.Errorf("--expires %s: not a time", expires), "as in 30d, 12w or 36h")
				}
				t.Expires = time.Now().Add(age)
			}
			return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
				made, err := o.MakeToken(ctx, t)
				if err != nil {
					return err
				}
				return printMade(a, made)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", string(wire.Submitter), "`reader|submitter|admin`")
	flags.StringVar(&name, "name", "", "a `TEXT` for people, shown in lists")
	flags.StringVar(&expires, "expires", "", "it ends after this `TIME`, as in 30d, 12w or 36h; 366d at most (default 90d)")
	return officeFlags(a, cmd, &f)
}

func printMade(a *app.App, t wire.MadeToken) error {
	if !a.Quiet {
		a.Warn("token %s of %s, %s, until %s; it is not shown again", t.ID, t.Principal, t.Role, out.Day(t.Expires))
	}
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(t) },
		Text:   func() error { _, err := fmt.Fprintln(a.Out, t.Secret); return err },
		Header: []string{"ID", "TOKEN"},
		Rows:   func(row func(...string) error) error { return row(t.ID, t.Secret) },
	})
}

func newTokenList(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List tokens, those that have ended too",
		Long:    "List the tokens of a server, the newest first, without what they read.",
		Example: "  dray serve token list\n  dray serve token list --server https://dray.example -o json",
		Args:    flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
				all, err := o.Tokens(ctx)
				if err != nil {
					return err
				}
				return out.PrintList(&a.Console, all, "tokens", []string{"ID", "PRINCIPAL", "ROLE", "STATE", "EXPIRES", "USED", "NAME"}, func(t wire.Token) []string {
					state := "good"
					switch {
					case !t.Revoked.IsZero():
						state = "revoked"
					case !t.Expires.After(time.Now()):
						state = "expired"
					}
					return []string{t.ID, out.Dashed(t.Principal), string(t.Role), state, out.Day(t.Expires), out.Day(t.Used), out.Dashed(t.Name)}
				})
			})
		},
	}
	return officeFlags(a, cmd, &f)
}

func newTokenRevoke(a *app.App) *cobra.Command {
	return newEnding(a, "revoked", app.Office.RevokeToken, &cobra.Command{
		Use:   "revoke ID...",
		Short: "End tokens at once",
		Long: "End tokens by their ids, as list shows them. What their owners had begun goes on; what waits is\n" +
			"refused when it would begin, unless they have another.",
		Example: "  dray serve token revoke yp3k2m7qaz",
		Args:    flag.AtLeast(1, "ID..."),
	})
}
