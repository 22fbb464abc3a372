package serve

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
)

func newServeSecret(a *app.App) *cobra.Command {
	return flag.Gathered("secret put|list|remove", "Keep logins for registries at a server, sealed",
		"Keep the logins that a server shows to registries. Each is for one place, HOST or HOST/PATH, and\n"+
			"shown nowhere else; it is sealed at rest and never shown again. The login of the longest place\n"+
			"that fits is taken. Logins that docker keeps on the caller's machine are not sent to a server.",
		"  echo \"$PASSWORD\" | dray serve secret put prod registry.example -u robot --password-stdin\n  dray serve secret list",
		newSecretPut(a), newSecretList(a), newSecretRemove(a))
}

func newSecretPut(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	var user, password string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "put NAME HOST[/PATH]",
		Short: "Store a login for a registry, or for a part of one",
		Long: "Store a login under a name, in place of what that name held. Without a user the password is a\n" +
			"token, as -u and -p of dray import take it.",
		Example: "  echo \"$PASSWORD\" | dray serve secret put prod registry.example -u robot --password-stdin\n" +
			"  echo \"$TOKEN\" | dray serve secret put team-a ghcr.io/team-a -u team-a --password-stdin --server https://dray.example",
		Args: flag.Exactly(2, "NAME HOST[/PATH]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if stdin && cmd.Flags().Changed("password") {
				return flag.UsageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
			}
			in, err := officeOf(a, cmd, f) // drayd reads stdin, where it does the work
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
	flags.StringVarP(&user, "username", "u", "", "`USER`")
	flags.StringVarP(&password, "password", "p", "", "`PASSWORD`, or alone a token; others can see it in the list of processes")
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
		return credential.FromPassword(user, strings.TrimRight(read, "\r\n"))
	case cmd.Flags().Changed("password"):
		return credential.FromPassword(user, password)
	}
	return a.AskLogin(cmd, user)
}

func newSecretList(a *app.App) *cobra.Command {
	var f app.PlaceFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the stored logins, without the logins",
		Long:    "List what is stored: names, places, and who stored it when. No command shows the logins.",
		Example: "  dray serve secret list",
		Args:    flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
				all, err := o.Secrets(ctx)
				if err != nil {
					return err
				}
				return out.PrintList(&a.Console, all, "secrets", []string{"NAME", "PLACE", "BY", "CHANGED"}, func(s wire.Secret) []string {
					return []string{s.ID, s.Place, out.Dashed(s.By), out.Moment(s.Changed)}
				})
			})
		},
	}
	return officeFlags(a, cmd, &f)
}

func newSecretRemove(a *app.App) *cobra.Command {
	return newEnding(a, "removed", app.Office.DeleteSecret, &cobra.Command{
		Use:     "remove NAME...",
		Short:   "Forget stored logins",
		Long:    "Forget logins by their names. Jobs that run have read theirs.",
		Example: "  dray serve secret remove prod",
		Args:    flag.AtLeast(1, "NAME..."),
	})
}
