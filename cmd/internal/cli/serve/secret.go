package serve

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/shell"
)

func newServeSecret(a *app.App) *cobra.Command {
	return flag.Gathered("secret put|list|remove", "Store logins for registries at a server, encrypted",
		"Store the logins with which a server logs in to registries. Each login is for one place, HOST or "+
			"HOST/PATH, and is sent nowhere else. HOST may be the name of a registry in the server's "+
			"configuration. A login is stored encrypted and never shown again. If several places match a "+
			"repository, the server uses the login of the longest one.\n\n"+
			"dray does not send a server the logins that docker stores on your machine.",
		"  echo \"$PASSWORD\" | dray serve secret put prod registry.example \\\n"+
			"      -u robot --password-stdin\n"+
			"  dray serve secret list",
		newSecretPut(a), newSecretList(a), newSecretRemove(a))
}

func newSecretPut(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	var user, password string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "put NAME HOST[/PATH]",
		Short: "Store a login for a registry, or for a part of one",
		Long: "Store a login under a name. A login that has this name is replaced. Without a user, the password " +
			"is a token, as with -u and -p of dray import.",
		Example: "  echo \"$PASSWORD\" | dray serve secret put prod registry.example \\\n" +
			"      -u robot --password-stdin\n" +
			"  echo \"$TOKEN\" | dray serve secret put team-a ghcr.io/team-a \\\n" +
			"      -u team-a --password-stdin --server https://dray.example",
		Args: flag.Exactly(2, "a name for the login, then the place for which it is"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if stdin && cmd.Flags().Changed("password") {
				return flag.UsageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
			}
			in, err := officeOf(a, cmd, f, begun(a)) // before stdin is read, since drayd reads it if it does the work
			if err != nil {
				return err
			}
			l, err := secretLogin(a, cmd, user, password, stdin)
			if err != nil {
				return err
			}
			return in(func(ctx context.Context, o app.Office) error {
				if err := o.PutSecret(ctx, args[0], args[1], l); err != nil {
					return err
				}
				a.PrintWord("stored", args[0])
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&user, "username", "u", "", "log in at the registry as `USER`")
	flags.StringVarP(&password, "password", "p", "",
		flag.Password("--password-stdin, or neither flag: dray then asks for the password"))
	flags.BoolVar(&stdin, "password-stdin", false, "read the password from stdin")
	return officeFlags(a, cmd, &f)
}

func secretLogin(a *app.App, cmd *cobra.Command, user, password string, stdin bool) (credential.Login, error) {
	switch {
	case stdin:
		read, err := a.ReadPassword()
		if err != nil {
			return credential.Login{}, err
		}
		return credential.FromPassword(user, read)
	case cmd.Flags().Changed("password"):
		return credential.FromPassword(user, password)
	}
	return a.AskLogin(cmd, user)
}

func newSecretList(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the names and places of stored logins",
		Long: "List the stored logins: their names and places, who stored them, and when. No command shows their " +
			"users or passwords.",
		Example: "  dray serve secret list",
		Args:    flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
				all, err := o.Secrets(ctx)
				if err != nil {
					return err
				}
				header := []string{"NAME", "PLACE", "BY", "CHANGED"}
				return out.PrintList(&a.Console, all, "secrets", header, func(s wire.Secret) []string {
					return []string{s.ID, s.Place, out.Dashed(s.By), out.Moment(s.Changed)}
				})
			})
		},
	}
	return officeFlags(a, cmd, &f)
}

func newSecretRemove(a *app.App) *cobra.Command {
	names := func(o app.Office, ctx context.Context) ([]string, error) {
		all, err := o.Secrets(ctx)
		var names []string
		for _, s := range all {
			names = append(names, s.ID)
		}
		return names, err
	}
	e := ending{done: "removed", what: "logins", end: app.Office.DeleteSecret, list: names}
	return newEnding(a, e, &cobra.Command{
		Use:     "remove NAME...",
		Short:   "Remove stored logins",
		Long:    "Remove logins by their names. Running jobs are not affected, since they have read their logins.",
		Example: "  dray serve secret remove prod",
		Args:    flag.AtLeast(1, "the names of logins, as "+shell.Dray("serve", "secret", "list")+" shows them"),
	})
}
