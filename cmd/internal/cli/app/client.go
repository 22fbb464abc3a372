package app

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// serverURL returns the server that the flag, the environment or the configuration names; "" if there is
// none.
func (a *App) serverURL(file config.Config) string {
	return cmp.Or(a.Common.Server, a.IO.Env("DRAY_SERVER"), file.Client.Server)
}

// ServerFrom returns what names the server of this run.
func (a *App) ServerFrom() string {
	switch {
	case a.Common.Server != "":
		return "--server"
	case a.IO.Env("DRAY_SERVER") != "":
		return "DRAY_SERVER"
	}
	return "client.server in the configuration"
}

// Client returns a client of the server that flag, environment or configuration name; nil if there is none.
func (a *App) Client(ctx context.Context) (*client.Client, error) {
	file, err := a.LoadConfig()
	if err != nil {
		return nil, err
	}
	address := a.serverURL(file)
	if address == "" {
		return nil, nil
	}
	c := client.Config{URL: address, Version: ThisBuild().Version, Requests: a.Asked}
	if a.Common.CaFile != "" && strings.HasPrefix(address, "http://") {
		return nil, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "use server",
			Name: address,
			Err:  errors.New("--ca-file is for TLS, which plain http does not have"),
			Hint: "write https:// in the address of the server, or remove --ca-file",
		}
	}
	if err := a.checkCAFile(); err != nil {
		return nil, err
	}
	for _, ca := range []string{file.Client.CAFile, a.Common.CaFile} {
		if ca != "" {
			c.CAs = append(c.CAs, ca)
		}
	}
	if sameServer(address, file.Client.Server) {
		c.Cert, c.Key = file.Client.ClientCert, file.Client.ClientKey
	}
	if c.Token, c.From, err = a.serverToken(ctx, address, file.Client); err != nil {
		return nil, err
	}
	return client.New(c)
}

// NeedClient is Client for a command that needs a server. It returns an error if there is none.
func (a *App) NeedClient(cmd *cobra.Command) (*client.Client, error) {
	c, err := a.Client(cmd.Context())
	if err == nil && c == nil {
		return nil, flag.UsageError(cmd, errors.New("no server is named"),
			"give --server URL, or set DRAY_SERVER or client.server in the configuration")
	}
	return c, err
}

// serverToken returns the token for a server: that of DRAY_TOKEN, else that of the configuration if it names
// this server, else the login that dray login or docker login stored for the host. Such a login counts
// only if it is a token of a dray server: another password must not be sent there.
func (a *App) serverToken(
	ctx context.Context, address string, c config.Client,
) (token credential.Secret, from string, err error) {
	if t := a.IO.Env("DRAY_TOKEN"); t != "" {
		return credential.New(t), "DRAY_TOKEN", nil
	}
	switch {
	case !sameServer(address, c.Server):
	case c.TokenEnv != "":
		t, err := a.Variable("client.token-env", c.TokenEnv)
		return credential.New(t), c.TokenEnv + " (client.token-env)", err
	case c.TokenFile != "":
		raw, err := os.ReadFile(c.TokenFile)
		if err == nil && strings.TrimSpace(string(raw)) == "" {
			err = errors.New("the file is empty")
		}
		if err != nil {
			return token, "", &fault.Fault{
				Kind: fault.Invalid,
				Op:   "read token",
				Name: c.TokenFile,
				Err:  out.Bare(err),
				Hint: "correct client.token-file in the configuration, or write the token into that file",
			}
		}
		return credential.New(strings.TrimSpace(string(raw))), c.TokenFile + " (client.token-file)", nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return token, "", nil // client.New reports what is wrong with the address
	}
	host, err := ref.Host(u.Host)
	if err != nil {
		return token, "", nil
	}
	l, err := a.Files().Lookups().For(ctx, ref.Repo{Host: host})
	if err != nil || !strings.HasPrefix(l.Password.Reveal(), "dray_") {
		return token, "", err
	}
	return l.Password, l.From, nil
}

// sameServer reports whether two addresses are those of one server, however they are written.
func sameServer(a, b string) bool {
	one, err := url.Parse(a)
	two, other := url.Parse(b)
	return err == nil && other == nil && one.Host != "" && one.Scheme == two.Scheme && portOf(one) == portOf(two) &&
		strings.EqualFold(one.Hostname(), two.Hostname())
}

func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
}
