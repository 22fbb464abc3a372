package cli

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/config"
)

func (f *PlaceFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Data, "data", "", "`DIR` of the content (default $XDG_DATA_HOME/dray/registry, else ~/.local/share/dray/registry)")
	flags.StringVar(&f.Database, "database", "", "jobs and tokens in this database, a `URL` like postgres://USER@HOST/NAME or sqlite:PATH (default $DRAY_DATABASE, else dray.db in --data)")
}

// given reports whether a flag says where.
func (f PlaceFlags) given() bool { return f.Data+f.Database != "" }

// serverSetup is what the flags, the configuration and the environment say, in this order.
func (a *app) serverSetup(cmd *cobra.Command, f ServeFlags) (Setup, error) {
	d, file, err := a.drayConfig()
	if err != nil {
		return Setup{}, err
	}
	s := Setup{ServeFlags: f, File: file.Server, Dray: d, Version: Version(), Log: a.serverLog(), Env: a.IO.Env}
	for _, text := range f.Nets {
		net, err := netip.ParsePrefix(text)
		if err != nil {
			return s, usageError(cmd, fmt.Errorf("--egress %s: not a net", text), "ADDRESS/BITS, as in 10.0.0.0/8")
		}
		s.Egress = append(s.Egress, net.Masked())
	}
	if s.Data, err = a.dataDir(cmp.Or(f.Data, file.Server.Data)); err != nil {
		return s, usageError(cmd, err, "name a directory with --data")
	}
	s.Database, err = a.databaseOf(f.PlaceFlags, file.Server)
	return s, err
}

// databaseOf is "" for the file in the data directory.
func (a *app) databaseOf(f PlaceFlags, s config.Server) (string, error) {
	switch {
	case f.Database != "":
		return f.Database, nil
	case s.DatabaseEnv != "":
		return a.variable("server.database-env", s.DatabaseEnv)
	case s.DatabaseFile != "":
		return readDatabaseFile(s.DatabaseFile)
	case s.Database != "":
		return s.Database, nil
	}
	if f.Data != "" {
		return "", nil // the directory that is named, with what is in it
	}
	return a.IO.Env("DRAY_DATABASE"), nil
}

// variable is the value of one that a setting names.
func (a *app) variable(setting, name string) (string, error) {
	return config.Variable(a.IO.Env, setting, name)
}
