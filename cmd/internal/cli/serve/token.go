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
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
)

func newServeToken(a *app.App) *cobra.Command {
	return flag.Gathered("token create|list|revoke", "Create, list and revoke API tokens of a server",
		"Create, list and revoke the tokens with which people and programs log in to a server: as DRAY_TOKEN, as "+
			"a Bearer token, or as the password of any user for docker and az.\n\n"+
			"Without --server, this works on the data directory or the database itself; stop a server with a SQLite "+
			"database first. With --server, it needs an admin's token.",
		"  dray serve token create alice --role admin\n"+
			"  dray serve token list --server https://dray.example\n"+
			"  dray serve token revoke yp3k2m7qaz",
		newTokenCreate(a), newTokenList(a), newTokenRevoke(a))
}

func newTokenCreate(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	var role, name, expires string
	cmd := &cobra.Command{
		Use:   "create PRINCIPAL",
		Short: "Create a token, and print it once",
		Long: "Create a token for a principal, which is the name of a person or a program. Rules grant rights to " +
			"principals, and each job belongs to one.\n\n" +
			"A reader may look at registries and at its own jobs. A submitter may also start the jobs that rules " +
			"grant. An admin may do everything. The token is printed once and never again.\n\n" +
			"As soon as there is a token, requests from this machine need a token, too.",
		Example: "  dray serve token create ci --role submitter --expires 30d\n" +
			"  DRAY_TOKEN=$(dray serve token create alice --role admin --data /srv/dray)",
		Args: flag.Exactly(1, "the name of one person or program"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := wire.NewToken{Principal: args[0], Name: name, Role: wire.Role(role)}
			if expires != "" {
				age, err := plan.ParseAge(expires)
				if err != nil {
					return flag.UsageError(cmd, fmt.Errorf("--expires %s: not a duration", expires),
						"write for example 30d, 12w or 36h")
				}
				t.Expires = time.Now().Add(age)
			}
			in, err := officeOf(a, cmd, f, begun(a))
			if err != nil {
				return err
			}
			return in(func(ctx context.Context, o app.Office) error {
				made, err := o.MakeToken(ctx, t)
				if err != nil {
					return err
				}
				return printMade(a, made)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", string(wire.Submitter),
		"give the token the rights of `ROLE`: reader, submitter or admin")
	flags.StringVar(&name, "name", "", "show `TEXT` in lists of tokens, as a note for people")
	flags.StringVar(&expires, "expires", "",
		"let the token expire after `TIME`, such as 30d, 12w or 36h, at most 366d (default 90d)")
	return officeFlags(a, cmd, &f)
}

func printMade(a *app.App, t wire.MadeToken) error {
	if !a.Quiet {
		a.Warnf("token %s of %s, %s, valid until %s; it is not shown again", t.ID, t.Principal, t.Role, out.Moment(t.Expires))
	}
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(t) },
		Text:   func() error { return a.Println(t.Secret) },
		Header: []string{"ID", "TOKEN"},
		Rows:   func(row func(...string) error) error { return row(t.ID, t.Secret) },
	})
}

func newTokenList(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List tokens, including those that are revoked or expired",
		Long:    "List the tokens of a server, the newest first. The secret part of a token is not shown.",
		Example: "  dray serve token list\n  dray serve token list --server https://dray.example -o json",
		Args:    flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
				all, err := o.Tokens(ctx)
				if err != nil {
					return err
				}
				header := []string{"ID", "PRINCIPAL", "ROLE", "STATE", "EXPIRES", "USED", "NAME"}
				return out.PrintList(&a.Console, all, "tokens", header, tokenCells)
			})
		},
	}
	return officeFlags(a, cmd, &f)
}

func tokenCells(t wire.Token) []string {
	state := "good"
	switch {
	case !t.Revoked.IsZero():
		state = "revoked"
	case !t.Expires.After(time.Now()):
		state = "expired"
	}
	return []string{
		t.ID,
		out.Dashed(t.Principal),
		string(t.Role),
		state,
		out.Moment(t.Expires),
		out.Moment(t.Used),
		out.Dashed(t.Name),
	}
}

func newTokenRevoke(a *app.App) *cobra.Command {
	good := func(o app.Office, ctx context.Context) ([]string, error) {
		all, err := o.Tokens(ctx)
		var ids []string
		for _, t := range all {
			if t.Revoked.IsZero() {
				ids = append(ids, t.ID)
			}
		}
		return ids, err
	}
	e := ending{done: "revoked", what: "tokens", end: app.Office.RevokeToken, list: good}
	cmd := newEnding(a, e, &cobra.Command{
		Use:   "revoke ID...",
		Short: "Revoke tokens at once",
		Long: "Revoke tokens by their ids, as dray serve token list shows them. Running jobs of their owners " +
			"continue. Queued jobs are refused when they would begin, unless the owner has another token.",
		Example: "  dray serve token revoke yp3k2m7qaz",
		Args:    flag.AtLeast(1, "the ids of tokens, as "+shell.Dray("serve", "token", "list")+" shows them"),
	})
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids := make([]string, len(args)) // a whole token is a secret: no request and no message may have it
		for i, id := range args {
			ids[i] = wire.TokenID(id)
		}
		return run(cmd, ids)
	}
	return cmd
}
