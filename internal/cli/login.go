package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/credential"
)

func (a *app) newLogin() *cobra.Command {
	var user, password string
	var passwordStdin bool
	cmd := &cobra.Command{
		Use:   "login HOST",
		Short: "Check a login and keep it where docker and podman find it",
		Long: "Check a login against the registry, then keep it in docker's configuration, its credential\n" +
			"helper, or $REGISTRY_AUTH_FILE, so that docker, podman, skopeo and crane find it too.",
		Example: "  dray login registry.example -u ann\n" +
			"  echo \"$TOKEN\" | dray login ghcr.io -u ann --password-stdin",
		Args: exactly(1, "HOST"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var l credential.Login
		var err error
		switch {
		case passwordStdin && cmd.Flags().Changed("password"):
			return usageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
		case passwordStdin:
			if password, err = a.readPassword(); err != nil {
				return err
			}
			l, err = credential.FromPassword(user, password)
		case cmd.Flags().Changed("password"):
			l, err = credential.FromPassword(user, password)
		default:
			l, err = a.askLogin(cmd, user)
		}
		if err != nil {
			return err
		}
		return a.login(cmd, args[0], l)
	}
	flags := cmd.Flags()
	flags.StringVarP(&user, "username", "u", "", "`USER`")
	flags.StringVarP(&password, "password", "p", "", "`PASSWORD`; others can see it in the list of processes")
	flags.BoolVar(&passwordStdin, "password-stdin", false, "read the password from stdin")
	a.common.addRegistryTo(flags)
	return cmd
}

// askLogin asks a person for what is missing.
func (a *app) askLogin(cmd *cobra.Command, user string) (credential.Login, error) {
	if a.io.Terminal.Password == nil {
		return credential.Login{}, usageError(cmd, errors.New("no password"), "-p PASSWORD or --password-stdin")
	}
	if user == "" {
		fmt.Fprint(a.io.Err, "User: ")
		line, err := patiently(cmd.Context(), 0, func() (string, error) {
			return bufio.NewReader(io.LimitReader(a.io.In, 4096)).ReadString('\n')
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

func (a *app) login(cmd *cobra.Command, name string, l credential.Login) error {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer d.Close()
	host, err := d.Host(name)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	worth, err := patiently(ctx, grace, func() (credential.Login, error) { return d.CheckLogin(ctx, host, l) })
	if err != nil {
		return err
	}
	place, err := a.files().Save(ctx, host, worth)
	if err != nil {
		return err
	}
	how := ""
	if place.Plain {
		how = ", in plain text"
	}
	return a.printKept(kept{Host: host, Place: place.Name, Plain: place.Plain},
		fmt.Sprintf("logged in to %s; the login is kept in %s%s", host, place, how))
}

func (a *app) newLogout() *cobra.Command {
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
		text:   func() error { _, err := fmt.Fprintln(a.io.Out, line); return err },
		header: []string{"HOST", "PLACE"},
		rows:   func(row func(...string) error) error { return row(k.Host, k.Place) },
	})
}

// files are the places of docker and podman as this command's world has them.
func (a *app) files() credential.Files {
	return credential.Files{Env: a.io.Env, Home: a.io.Home, Run: a.io.Run}
}
