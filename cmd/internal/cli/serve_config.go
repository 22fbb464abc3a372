package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

// placeFlags say where a server keeps what it knows.
type placeFlags struct {
	data     string
	database string
}

func (f *placeFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.data, "data", "", "`DIR` of the content (default $XDG_DATA_HOME/dray/registry, else ~/.local/share/dray/registry)")
	flags.StringVar(&f.database, "database", "", "jobs and tokens in this database, a `URL` like postgres://USER@HOST/NAME or sqlite:PATH (default $DRAY_DATABASE, else dray.db in --data)")
}

// given reports whether a flag says where.
func (f placeFlags) given() bool { return f.data+f.database != "" }

// serverConfig is what the flags, the configuration and the environment say, in this order.
func (a *app) serverConfig(cmd *cobra.Command, f serveFlags) (server.Config, error) {
	d, file, err := a.drayConfig()
	if err != nil {
		return server.Config{}, err
	}
	s := file.Server
	c := server.Config{
		Listen: cmp.Or(f.listen, s.Listen), PublicURL: cmp.Or(f.publicURL, s.PublicURL), Ops: f.ops,
		TLS:      server.TLS{Cert: cmp.Or(f.cert, s.TLS.Cert), Key: cmp.Or(f.key, s.TLS.Key), ClientCA: cmp.Or(f.clientCA, s.TLS.ClientCA)},
		Htpasswd: cmp.Or(f.htpasswd, s.Auth.Htpasswd), Roles: map[string]wire.Role{},
		Egress: s.Egress.Allow, PerPrincipal: server.PerPrincipal{QueuedJobs: s.PerPrincipal.QueuedJobs, Streams: s.PerPrincipal.Streams, Held: s.PerPrincipal.HeldAnswers}, Dray: d, Slots: f.slots, Keep: f.keep,
		Version: thisBuild().Version, Log: a.serverLog(), Env: a.IO.Env,
	}
	if f.plain {
		c.Plain = server.AllowPlain
	}
	for name, role := range s.Auth.Roles {
		c.Roles[name] = wire.Role(role)
	}
	for _, r := range s.Policy {
		c.Rules = append(c.Rules, access.Rule(r))
	}
	for _, text := range f.nets {
		net, err := netip.ParsePrefix(text)
		if err != nil {
			return c, usageError(cmd, fmt.Errorf("--egress %s: not a net", text), "ADDRESS/BITS, as in 10.0.0.0/8")
		}
		c.Egress = append(c.Egress, net.Masked())
	}
	if c.Data, err = a.dataDir(cmp.Or(f.data, s.Data)); err != nil {
		return c, usageError(cmd, err, "name a directory with --data")
	}
	if c.Database, err = a.databaseOf(f.placeFlags, s); err != nil {
		return c, err
	}
	if c.Key, err = a.keyOf(s.Secrets); err != nil {
		return c, err
	}
	c.Storage, err = a.storageOf(s.Storage)
	return c, err
}

// databaseOf is "" for the file in the data directory.
func (a *app) databaseOf(f placeFlags, s config.Server) (string, error) {
	switch {
	case f.database != "":
		return f.database, nil
	case s.DatabaseEnv != "":
		return a.variable("server.database-env", s.DatabaseEnv)
	case s.DatabaseFile != "":
		return readDatabaseFile(s.DatabaseFile)
	case s.Database != "":
		return s.Database, nil
	}
	if f.data != "" {
		return "", nil // the directory that is named, with what is in it
	}
	return a.IO.Env("DRAY_DATABASE"), nil
}

// variable is the value of one that a setting names.
func (a *app) variable(setting, name string) (string, error) {
	if v := a.IO.Env(name); v != "" {
		return v, nil
	}
	return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: setting, Err: errors.New("the variable " + name + " is not set")}
}

func (a *app) keyOf(s config.Secrets) (k access.KeySource, err error) {
	k = access.KeySource{File: s.KeyFile, Command: s.KeyCommand}
	if s.KeyEnv != "" {
		k.Env, err = a.variable("server.secrets.key-env", s.KeyEnv)
	}
	return k, err
}

func (a *app) storageOf(s config.Storage) (registry.Storage, error) {
	out := registry.Storage{Driver: s.Driver}
	if len(s.Parameters)+len(s.ParametersEnv) > 0 {
		out.Parameters = map[string]any{}
	}
	for key, value := range s.Parameters {
		out.Parameters[key] = value
	}
	for key, name := range s.ParametersEnv {
		value, err := a.variable("server.storage.parameters-env."+key, name)
		if err != nil {
			return out, err
		}
		out.Parameters[key] = value
	}
	return out, nil
}
