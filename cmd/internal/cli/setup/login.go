package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// loginFlags holds the flags of dray login: those of docker login, and those of az acr login.
type loginFlags struct {
	flag.Az
	expose bool
}

// NewLogin makes the command dray login.
func NewLogin(a *app.App) *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login HOST | login --name REGISTRY",
		Short: "Check a login and store it where docker and podman find it",
		Long: "Check a login at the registry, then store it in the configuration of docker or in its credential " +
			"helper. docker, podman, skopeo and crane find it there too. If $REGISTRY_AUTH_FILE is set, dray " +
			"stores the login in that file, which docker does not read.\n\n" +
			"With --name and without a password, dray logs in as az acr login does, with an identity of the " +
			"cloud: a service principal, a workload or managed identity, or the account that is logged in to az. " +
			"dray exchanges its Entra token for a refresh token of the registry, and stores that.\n\n" +
			"--expose-token prints this refresh token on stdout and stores nothing. It is the only command that " +
			"prints a secret: whoever has the token has the rights of the identity at the registry for some hours.",
		Example: "  dray login registry.example -u ann\n" +
			"  echo \"$TOKEN\" | dray login ghcr.io -u ann --password-stdin\n" +
			"  dray login --name prod\n" +
			"  TOKEN=$(dray login --name prod --expose-token --query accessToken -o tsv)",
		Args: flag.Optional("HOST, or --name REGISTRY"),
		RunE: func(cmd *cobra.Command, args []string) error { return login(a, cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.Registry, "name", "n", "",
		"log in to this `REGISTRY`, as az acr login does: a configured name, a host, or an Azure registry's name")
	flags.StringVarP(&f.Username, "username", "u", "", "log in as `USER`")
	flags.StringVarP(&f.Password, "password", "p", "",
		flag.Password("--password-stdin, or neither flag: dray then asks for the password"))
	flags.BoolVar(&f.PasswordStdin, "password-stdin", false, "read the password from stdin")
	flags.BoolVarP(&f.expose, "expose-token", "t", false, "print the registry's refresh token on stdout and store nothing")
	f.AddQueryTo(flags)
	f.AddSuffixTo(flags)
	f.AddCommonTo(flags)
	a.Common.AddRegistryTo(flags, flag.Asks)
	return cmd
}

func login(a *app.App, cmd *cobra.Command, args []string, f loginFlags) error {
	switch {
	case len(args) == 0 && f.Registry == "":
		return flag.UsageError(cmd, errors.New("no registry given"), "write HOST, or --name REGISTRY")
	case len(args) == 1 && f.Registry != "":
		return flag.UsageError(cmd, errors.New("HOST and --name both given"), "keep one of them")
	case f.expose && f.Username != "":
		return flag.UsageError(cmd, errors.New("--expose-token and --username both given"),
			"the token is that of a cloud identity, so leave --username out")
	case f.Query != "" && !f.expose:
		return flag.UsageError(cmd, errors.New("--query without --expose-token"), "add --expose-token, or leave --query out")
	}
	if err := f.Settle(&a.How, cmd); err != nil {
		return err
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	host, err := f.Host(a.IO.Env, d, a.Note)
	if len(args) == 1 {
		host, err = d.Host(args[0])
	}
	if err != nil {
		return err
	}
	l, err := findLogin(a, cmd, host, f)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	worth, err := app.Patiently(ctx, app.Grace, func() (credential.Login, error) { return d.CheckLogin(ctx, host, l) })
	switch {
	case err != nil:
		return err
	case f.expose:
		return expose(a, cmd, host, worth, f)
	case !d.AsksForLogin(host):
		a.Warnf("%s requires no login, so the login was not checked", host)
	}
	return keep(ctx, a, host, worth)
}

// findLogin returns the login that the flags give or a person types, or with --name alone that of a cloud
// identity.
func findLogin(a *app.App, cmd *cobra.Command, host string, f loginFlags) (credential.Login, error) {
	typed := cmd.Flags().Changed("password")
	switch {
	case f.PasswordStdin && typed:
		return credential.Login{}, flag.UsageError(cmd, errors.New("--password and --password-stdin both given"),
			"keep one of them")
	case f.PasswordStdin:
		password, err := a.ReadPassword()
		if err != nil {
			return credential.Login{}, err
		}
		return credential.FromPassword(f.Username, password)
	case typed:
		return credential.FromPassword(f.Username, f.Password)
	case f.Username == "" && (f.Registry != "" || f.expose):
		return cloudLogin(cmd.Context(), a, host)
	}
	return a.AskLogin(cmd, f.Username)
}

func cloudLogin(ctx context.Context, a *app.App, host string) (credential.Login, error) {
	file, err := a.LoadConfig()
	if err != nil {
		return credential.Login{}, err
	}
	clouds := a.Clouds(file)
	l, err := app.Patiently(ctx, app.Grace, func() (credential.Login, error) {
		return clouds.For(ctx, ref.Repo{Host: host})
	})
	if err == nil && l.IsAnonymous() {
		err = &fault.Fault{
			Kind: fault.Denied,
			Op:   "find a cloud identity for",
			Name: host,
			Hint: "run az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET " +
				"for a service principal; outside of a cloud use -u USER --password-stdin",
			Err: errors.New("there is none"),
		}
	}
	return l, err
}

// exposed is the answer of --expose-token, as az acr login prints it.
type exposed struct {
	Token  string `json:"accessToken"`
	Server string `json:"loginServer"`
}

// expose prints a token. It is the only place where a secret goes to stdout.
func expose(a *app.App, cmd *cobra.Command, host string, l credential.Login, f loginFlags) error {
	if l.Scheme != credential.Refresh {
		return &fault.Fault{Kind: fault.Invalid, Op: "expose the token of", Name: host, Hint: "leave --expose-token out",
			Err: errors.New("this registry gave no token for the login")}
	}
	if !a.Quiet {
		a.Warnf("whoever has this token has your rights at %s until it expires; "+
			"to use it with docker: docker login %s -u %s --password-stdin", host, host, credential.TokenUser)
	}
	token := exposed{l.Password.Reveal(), host}
	as := flag.AzFormat(cmd, a.Format)
	if as == out.FormatText {
		return a.Println(token.Token)
	}
	return a.PrintAz(as, f.Search, token)
}

// kept is the answer of dray login and dray logout.
type kept struct {
	Host    string `json:"host"`
	Place   string `json:"place"`             // "docker config ~/.docker/config.json"
	Plain   bool   `json:"plainText"`         // the place holds the password unencrypted
	Removed *bool  `json:"removed,omitempty"` // logout only
}

func keep(ctx context.Context, a *app.App, host string, l credential.Login) error {
	place, err := a.Files().Save(ctx, host, l)
	if err != nil {
		return err
	}
	how := ""
	if place.Plain {
		how = ", in plain text"
	}
	if first := before(ctx, a, host); first != "" {
		a.Warnf("dray uses the login from %s for %s, and not the one that is stored now", first, host)
	}
	text := fmt.Sprintf("logged in to %s%s; the login is stored in %s%s", host, by(l), place, how)
	return printKept(a, kept{Host: host, Place: place.Name, Plain: place.Plain}, text)
}

// before names the place of a login that takes precedence over the one that dray login stores; "" if there is
// none. It asks no credential helper of docker.
func before(ctx context.Context, a *app.App, host string) string {
	var chain credential.Chain
	if file, err := a.LoadConfig(); err == nil {
		chain = file.Lookups(a.IO.Env)
	}
	if a.IO.Env("REGISTRY_AUTH_FILE") == "" {
		chain = slices.Concat(chain, credential.Files{Env: func(name string) string {
			if name != "DOCKER_AUTH_CONFIG" {
				return ""
			}
			return a.IO.Env(name)
		}}.Lookups())
	}
	l, err := chain.For(ctx, ref.Repo{Host: host})
	if err != nil || l.IsAnonymous() {
		return "" // the next command reports an error of the chain
	}
	return l.From
}

// by names the identity that logged in, if dray found it by itself.
func by(l credential.Login) string {
	if l.From == "" {
		return ""
	}
	return " by " + l.From
}

// NewLogout makes the command dray logout.
func NewLogout(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:     "logout HOST",
		Short:   "Remove the stored login for a registry",
		Long:    "Remove the login for a registry from the place where dray login stores it.",
		Example: "  dray logout registry.example",
		Args:    flag.Exactly(1, "the host of one registry"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.Open()
			if err != nil {
				return err
			}
			defer d.Close()
			host, err := d.Host(args[0])
			if err != nil {
				return err
			}
			place, removed, err := a.Files().Erase(cmd.Context(), host)
			if err != nil {
				return err
			}
			line := fmt.Sprintf("logged out of %s; the login is removed from %s", host, place)
			if !removed {
				line = fmt.Sprintf("no login for %s in %s", host, place)
			}
			return printKept(a, kept{Host: host, Place: place.Name, Plain: place.Plain, Removed: &removed}, line)
		},
	}
}

func printKept(a *app.App, k kept, line string) error {
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(k) },
		Text:   func() error { return a.Println(line) },
		Header: []string{"HOST", "PLACE"},
		Rows:   func(row func(...string) error) error { return row(k.Host, k.Place) },
	})
}
