package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/plan"
)

// officeFlags are those of all that is done in an office.
func (a *app) officeFlags(cmd *cobra.Command, f *PlaceFlags) *cobra.Command {
	cmd.Flags().SortFlags = false
	f.addTo(cmd.Flags())
	a.common.addServerTo(cmd.Flags())
	return cmd
}

// gathered makes a command that only has commands below it.
func gathered(use, short, long, example string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(below...)
	return cmd
}

func newServeToken(a *app) *cobra.Command {
	return gathered("token create|list|revoke", "Make, list and revoke API tokens of a server",
		"Make, list and revoke the tokens by which people and programs show who they are: as DRAY_TOKEN, as\n"+
			"Bearer, or as the password of any user for docker and az. Works on the data directory or the\n"+
			"database while no server holds it, else through the server as its admin.",
		"  dray serve token create alice --role admin\n  dray serve token list --server https://dray.example\n  dray serve token revoke yp3k2m7qaz",
		newTokenCreate(a), newTokenList(a), newTokenRevoke(a))
}

func newTokenCreate(a *app) *cobra.Command {
	var f PlaceFlags
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
		Args: exactly(1, "PRINCIPAL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := wire.NewToken{Principal: args[0], Name: name, Role: wire.Role(role)}
			if expires != "" {
				age, err := plan.ParseAge(expires)
				if err != nil {
					return usageError(cmd, fmt.Errorf("--expires %s: not a time", expires), "as in 30d, 12w or 36h")
				}
				t.Expires = time.Now().Add(age)
			}
			return a.inOffice(cmd, f, func(ctx context.Context, o Office) error {
				made, err := o.MakeToken(ctx, t)
				if err != nil {
					return err
				}
				return a.printMade(made)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", string(wire.Submitter), "`reader|submitter|admin`")
	flags.StringVar(&name, "name", "", "a `TEXT` for people, shown in lists")
	flags.StringVar(&expires, "expires", "", "it ends after this `TIME`, as in 30d, 12w or 36h; 366d at most (default 90d)")
	return a.officeFlags(cmd, &f)
}

func (a *app) printMade(t wire.MadeToken) error {
	if !a.quiet {
		a.warn("token %s of %s, %s, until %s; it is not shown again", t.ID, t.Principal, t.Role, day(t.Expires))
	}
	return a.print(answer{
		json:   func() error { return a.printJSON(t) },
		text:   func() error { _, err := fmt.Fprintln(a.out, t.Secret); return err },
		header: []string{"ID", "TOKEN"},
		rows:   func(row func(...string) error) error { return row(t.ID, t.Secret) },
	})
}

// day is a date for people; "-" for none.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateOnly)
}

// moment is a time for people, to the second; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// dashed is s, or "-" for nothing: a column that is empty can not be counted.
func dashed(s string) string { return cmp.Or(oneLine(s), "-") }

func newTokenList(a *app) *cobra.Command {
	var f PlaceFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List tokens, those that have ended too",
		Long:    "List the tokens of a server, the newest first, without what they read.",
		Example: "  dray serve token list\n  dray serve token list --server https://dray.example -o json",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOffice(cmd, f, func(ctx context.Context, o Office) error {
				all, err := o.Tokens(ctx)
				if err != nil {
					return err
				}
				return printList(&a.console, all, "tokens", []string{"ID", "PRINCIPAL", "ROLE", "STATE", "EXPIRES", "USED", "NAME"}, func(t wire.Token) []string {
					state := "good"
					switch {
					case !t.Revoked.IsZero():
						state = "revoked"
					case !t.Expires.After(time.Now()):
						state = "expired"
					}
					return []string{t.ID, dashed(t.Principal), string(t.Role), state, day(t.Expires), day(t.Used), dashed(t.Name)}
				})
			})
		},
	}
	return a.officeFlags(cmd, &f)
}

func newTokenRevoke(a *app) *cobra.Command {
	return newEnding(a, "revoked", Office.RevokeToken, &cobra.Command{
		Use:   "revoke ID...",
		Short: "End tokens at once",
		Long: "End tokens by their ids, as list shows them. What their owners had begun goes on; what waits is\n" +
			"refused when it would begin, unless they have another.",
		Example: "  dray serve token revoke yp3k2m7qaz",
		Args:    atLeast(1, "ID..."),
	})
}

// newEnding makes cmd end what its arguments name, one after the other.
func newEnding(a *app, done string, end func(Office, context.Context, string) error, cmd *cobra.Command) *cobra.Command {
	var f PlaceFlags
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.inOffice(cmd, f, func(ctx context.Context, o Office) error {
			for _, id := range args {
				if err := end(o, ctx, id); err != nil {
					return err
				}
				a.printWord(done, id)
			}
			return nil
		})
	}
	return a.officeFlags(cmd, &f)
}

func newServeSecret(a *app) *cobra.Command {
	return gathered("secret put|list|remove", "Keep logins for registries at a server, sealed",
		"Keep the logins that a server shows to registries. Each is for one place, HOST or HOST/PATH, and\n"+
			"shown nowhere else; it is sealed at rest and never shown again. The login of the longest place\n"+
			"that fits is taken. Logins that docker keeps on the caller's machine are not sent to a server.",
		"  echo \"$PASSWORD\" | dray serve secret put prod registry.example -u robot --password-stdin\n  dray serve secret list",
		newSecretPut(a), newSecretList(a), newSecretRemove(a))
}

func newSecretPut(a *app) *cobra.Command {
	var f PlaceFlags
	var user, password string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "put NAME HOST[/PATH]",
		Short: "Store a login for a registry, or for a part of one",
		Long: "Store a login under a name, in place of what that name held. Without a user the password is a\n" +
			"token, as -u and -p of dray import take it.",
		Example: "  echo \"$PASSWORD\" | dray serve secret put prod registry.example -u robot --password-stdin\n" +
			"  echo \"$TOKEN\" | dray serve secret put team-a ghcr.io/team-a -u team-a --password-stdin --server https://dray.example",
		Args: exactly(2, "NAME HOST[/PATH]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if stdin && cmd.Flags().Changed("password") {
				return usageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
			}
			in, err := a.officeOf(cmd, f) // drayd reads stdin, where it does the work
			if err != nil {
				return err
			}
			l, err := a.secretLogin(cmd, user, password, stdin)
			if err != nil {
				return err
			}
			return in(func(ctx context.Context, o Office) error {
				if err := o.PutSecret(ctx, args[0], args[1], l); err != nil {
					return err
				}
				a.printWord("stored", args[0])
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&user, "username", "u", "", "`USER`")
	flags.StringVarP(&password, "password", "p", "", "`PASSWORD`, or alone a token; others can see it in the list of processes")
	flags.BoolVar(&stdin, "password-stdin", false, "read the password from stdin")
	return a.officeFlags(cmd, &f)
}

func (a *app) secretLogin(cmd *cobra.Command, user, password string, stdin bool) (credential.Login, error) {
	switch {
	case stdin:
		read, err := a.readPassword()
		if err != nil {
			return credential.Login{}, err
		}
		return credential.FromPassword(user, strings.TrimRight(read, "\r\n"))
	case cmd.Flags().Changed("password"):
		return credential.FromPassword(user, password)
	}
	return a.askLogin(cmd, user)
}

func newSecretList(a *app) *cobra.Command {
	var f PlaceFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the stored logins, without the logins",
		Long:    "List what is stored: names, places, and who stored it when. No command shows the logins.",
		Example: "  dray serve secret list",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOffice(cmd, f, func(ctx context.Context, o Office) error {
				all, err := o.Secrets(ctx)
				if err != nil {
					return err
				}
				return printList(&a.console, all, "secrets", []string{"NAME", "PLACE", "BY", "CHANGED"}, func(s wire.Secret) []string {
					return []string{s.ID, s.Place, dashed(s.By), moment(s.Changed)}
				})
			})
		},
	}
	return a.officeFlags(cmd, &f)
}

func newSecretRemove(a *app) *cobra.Command {
	return newEnding(a, "removed", Office.DeleteSecret, &cobra.Command{
		Use:     "remove NAME...",
		Short:   "Forget stored logins",
		Long:    "Forget logins by their names. Jobs that run have read theirs.",
		Example: "  dray serve secret remove prod",
		Args:    atLeast(1, "NAME..."),
	})
}
