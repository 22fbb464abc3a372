package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// loginFlags are those of login: docker's, and az's of az acr login.
type loginFlags struct {
	azFlags
	expose bool
}

func newLogin(a *app) *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login HOST | login --name REGISTRY",
		Short: "Check a login and keep it where docker and podman find it",
		Long: "Check a login against the registry, then keep it in docker's configuration, its credential\n" +
			"helper, or $REGISTRY_AUTH_FILE, so that docker, podman, skopeo and crane find it too.\n\n" +
			"With --name and no password it signs in as az acr login does, with an identity of the cloud: a\n" +
			"service principal, a workload or managed identity, or whoever is logged in to az. An Entra token\n" +
			"is exchanged, and the registry's refresh token kept.\n\n" +
			"--expose-token prints that refresh token on stdout and keeps nothing. It is the one place where\n" +
			"dray shows a secret: whoever has it has the identity's rights at the registry for some hours.",
		Example: "  dray login registry.example -u ann\n" +
			"  echo \"$TOKEN\" | dray login ghcr.io -u ann --password-stdin\n" +
			"  dray login --name prod\n" +
			"  TOKEN=$(dray login --name prod --expose-token --query accessToken -o tsv)",
		Args: optional("HOST, or --name REGISTRY"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.login(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.registry, "name", "n", "", "`REGISTRY` as az acr login takes it: a configured name, a host, or an Azure registry's name")
	flags.StringVarP(&f.username, "username", "u", "", "`USER`")
	flags.StringVarP(&f.password, "password", "p", "", "`PASSWORD`, or alone a token; others can see it in the list of processes")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from stdin")
	flags.BoolVar(&f.expose, "expose-token", false, "print the registry's refresh token on stdout and keep nothing")
	f.addCommonTo(flags)
	a.common.addRegistryTo(flags)
	return cmd
}

func (a *app) login(cmd *cobra.Command, args []string, f loginFlags) error {
	switch {
	case len(args) == 0 && f.registry == "":
		return usageError(cmd, errors.New("no registry"), "HOST, or --name REGISTRY")
	case len(args) == 1 && f.registry != "":
		return usageError(cmd, errors.New("HOST and --name both given"), "keep one of them")
	case f.expose && f.username != "":
		return usageError(cmd, errors.New("--expose-token and --username both given"), "the token is that of an identity of the cloud")
	case f.query != "" && !f.expose:
		return usageError(cmd, errors.New("--query without --expose-token"), "")
	}
	if err := f.settle(&a.how, cmd); err != nil {
		return err
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer d.Close()
	host, err := d.RegistryHost(f.registry)
	if len(args) == 1 {
		host, err = d.Host(args[0])
	}
	if err != nil {
		return err
	}
	l, err := a.findLogin(cmd, host, f)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	worth, err := patiently(ctx, grace, func() (credential.Login, error) { return d.CheckLogin(ctx, host, l) })
	switch {
	case err != nil:
		return err
	case f.expose:
		return a.expose(cmd, host, worth, f)
	case !d.AsksForLogin(host):
		a.warn("%s asks nobody for a login: nothing was checked", host)
	}
	return a.keep(ctx, host, worth)
}

// findLogin is the login that the flags give or a person types; with az's flags, the cloud's.
func (a *app) findLogin(cmd *cobra.Command, host string, f loginFlags) (credential.Login, error) {
	typed := cmd.Flags().Changed("password")
	switch {
	case f.passwordStdin && typed:
		return credential.Login{}, usageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
	case f.passwordStdin:
		password, err := a.readPassword()
		if err != nil {
			return credential.Login{}, err
		}
		return credential.FromPassword(f.username, password)
	case typed:
		return credential.FromPassword(f.username, f.password)
	case f.username == "" && (f.registry != "" || f.expose):
		return a.cloudLogin(cmd.Context(), host)
	}
	return a.askLogin(cmd, f.username)
}

func (a *app) cloudLogin(ctx context.Context, host string) (credential.Login, error) {
	file, err := a.loadConfig()
	if err != nil {
		return credential.Login{}, err
	}
	clouds := a.clouds(file)
	l, err := patiently(ctx, grace, func() (credential.Login, error) { return clouds.For(ctx, ref.Repo{Host: host}) })
	if err == nil && l.IsAnonymous() {
		err = &fault.Fault{Kind: fault.Denied, Op: "find a cloud identity for", Name: host,
			Hint: "az login, or a service principal in AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET; elsewhere than in a cloud -u USER --password-stdin",
			Err:  errors.New("there is none")}
	}
	return l, err
}

// exposed is what az acr login --expose-token prints.
type exposed struct {
	Token  string `json:"accessToken"`
	Server string `json:"loginServer"`
}

// expose is the one place where a secret goes to stdout.
func (a *app) expose(cmd *cobra.Command, host string, l credential.Login, f loginFlags) error {
	if l.Scheme != credential.Refresh {
		return &fault.Fault{Kind: fault.Invalid, Op: "expose the token of", Name: host, Hint: "leave --expose-token off",
			Err: errors.New("this registry gave no token for the login")}
	}
	if !a.quiet {
		a.warn("whoever has this token has your rights at %s until it ends; docker takes it so: docker login %s -u %s --password-stdin", host, host, credential.TokenUser)
	}
	token := exposed{l.Password.Reveal(), host}
	as := azFormat(cmd, a.format)
	if as == formatText {
		_, err := fmt.Fprintln(a.out, token.Token)
		return err
	}
	return printAz(a.out, as, f.search, token)
}

// askLogin asks a person for what is missing.
func (a *app) askLogin(cmd *cobra.Command, user string) (credential.Login, error) {
	if a.IO.Terminal.Password == nil {
		return credential.Login{}, usageError(cmd, errors.New("no password"), "-p PASSWORD or --password-stdin")
	}
	if user == "" {
		fmt.Fprint(a.err, "User: ")
		line, err := patiently(cmd.Context(), 0, func() (string, error) {
			return bufio.NewReader(io.LimitReader(a.IO.In, 4096)).ReadString('\n')
		})
		if user = strings.TrimSpace(line); user == "" || err != nil {
			return credential.Login{}, usageError(cmd, errors.New("no user"), "-u USER")
		}
	}
	return a.askPassword(cmd.Context(), user)
}

// kept is the answer of login and logout.
type kept struct {
	Host    string `json:"host"`
	Place   string `json:"place"`             // "docker config ~/.docker/config.json"
	Plain   bool   `json:"plainText"`         // whoever reads the place reads the password
	Removed *bool  `json:"removed,omitempty"` // logout only
}

func (a *app) keep(ctx context.Context, host string, l credential.Login) error {
	place, err := a.files().Save(ctx, host, l)
	if err != nil {
		return err
	}
	how := ""
	if place.Plain {
		how = ", in plain text"
	}
	return a.printKept(kept{Host: host, Place: place.Name, Plain: place.Plain},
		fmt.Sprintf("logged in to %s%s; the login is kept in %s%s", host, by(l), place, how))
}

// by says who signed in, where nobody typed it.
func by(l credential.Login) string {
	if l.From == "" {
		return ""
	}
	return " by " + l.From
}

func newLogout(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "logout HOST",
		Short:   "Forget the login for a registry",
		Long:    "Remove the login for a registry from where login keeps it.",
		Example: "  dray logout registry.example",
		Args:    exactly(1, "HOST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open()
			if err != nil {
				return err
			}
			defer d.Close()
			host, err := d.Host(args[0])
			if err != nil {
				return err
			}
			place, removed, err := a.files().Erase(cmd.Context(), host)
			if err != nil {
				return err
			}
			line := fmt.Sprintf("logged out of %s; the login is gone from %s", host, place)
			if !removed {
				line = fmt.Sprintf("no login for %s in %s", host, place)
			}
			return a.printKept(kept{Host: host, Place: place.Name, Plain: place.Plain, Removed: &removed}, line)
		},
	}
}

func (a *app) printKept(k kept, line string) error {
	return a.print(answer{
		json:   func() error { return a.printJSON(k) },
		text:   func() error { _, err := fmt.Fprintln(a.out, line); return err },
		header: []string{"HOST", "PLACE"},
		rows:   func(row func(...string) error) error { return row(k.Host, k.Place) },
	})
}

// files are the places of docker and podman as this command's world has them.
func (a *app) files() credential.Files {
	return credential.Files{Env: a.IO.Env, Home: a.IO.Home, Run: a.IO.Run}
}
