package cli

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// atServer is the heading of flags about the server that a command speaks to.
const atServer = "Server"

// addServerTo adds the flag of all that can speak to a server.
func (c *common) addServerTo(flags *pflag.FlagSet) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.StringVar(&c.server, "server", "", "do it at the dray server at this `URL` (default $DRAY_SERVER, else the configuration's client)")
	inGroup(set, atServer)
	flags.AddFlagSet(set)
}

// addHandOverTo adds the flags of verbs that a server can carry out.
func (c *common) addHandOverTo(flags *pflag.FlagSet) {
	if flags.Lookup("server") == nil {
		c.addServerTo(flags)
	}
	if flags.Lookup("no-wait") != nil {
		return
	}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.BoolVar(&c.noWait, "no-wait", false, "with a server: print the job's id and leave it to it")
	inGroup(set, atServer)
	flags.AddFlagSet(set)
}

// serverURL is the server that the flag, the environment or the configuration names; "" for none.
func (a *app) serverURL(file config.Config) string {
	return cmp.Or(a.common.server, a.IO.Env("DRAY_SERVER"), file.Client.Server)
}

// client speaks to the server that is named; nil where none is.
func (a *app) client(ctx context.Context) (*client.Client, error) {
	file, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	address := a.serverURL(file)
	if address == "" {
		return nil, nil
	}
	c := client.Config{URL: address, UserAgent: "dray/" + thisBuild().Version}
	if address == file.Client.Server {
		c.CA, c.Cert, c.Key = file.Client.CAFile, file.Client.ClientCert, file.Client.ClientKey
	}
	if c.Token, err = a.serverToken(ctx, address, file.Client); err != nil {
		return nil, err
	}
	return client.New(c)
}

// needClient is client where there is nothing to do without a server.
func (a *app) needClient(cmd *cobra.Command) (*client.Client, error) {
	c, err := a.client(cmd.Context())
	if err == nil && c == nil {
		return nil, usageError(cmd, errors.New("no server is named"), "--server URL, DRAY_SERVER, or client: in the configuration")
	}
	return c, err
}

// serverToken is the token for a server: of the environment, of the configuration for the server
// that it names, else what dray login or docker login kept for the host. A login of docker's that
// is no token of a server's is nobody's business there.
func (a *app) serverToken(ctx context.Context, address string, c config.Client) (credential.Secret, error) {
	if t := a.IO.Env("DRAY_TOKEN"); t != "" {
		return credential.New(t), nil
	}
	switch {
	case address != c.Server:
	case c.TokenEnv != "":
		t, err := a.variable("client.token-env", c.TokenEnv)
		return credential.New(t), err
	case c.TokenFile != "":
		raw, err := os.ReadFile(c.TokenFile)
		if err == nil && strings.TrimSpace(string(raw)) == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			return credential.Secret{}, &fault.Fault{Kind: fault.Invalid, Op: "read token", Name: c.TokenFile, Err: bare(err)}
		}
		return credential.New(strings.TrimSpace(string(raw))), nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return credential.Secret{}, nil // the client says what is wrong with it
	}
	host, err := ref.Host(u.Host)
	if err != nil {
		return credential.Secret{}, nil
	}
	l, err := a.files().Lookups().For(ctx, ref.Repo{Host: host})
	if err != nil || !strings.HasPrefix(l.Password.Reveal(), "dray_") {
		return credential.Secret{}, err
	}
	return l.Password, nil
}

// reach says what may help where a server did not answer, or did not know who asks.
func reach(err error) error {
	var f *fault.Fault
	switch {
	case !errors.As(err, &f) || fault.HintOf(err) != "":
	case f.Kind == fault.Unavailable && f.Op == "ask":
		return withHint(err, "is dray serve running there?")
	case f.Kind == fault.Denied && strings.Contains(err.Error(), "authenticate"):
		return withHint(err, "DRAY_TOKEN, or client: in the configuration, says who asks")
	}
	return err
}
