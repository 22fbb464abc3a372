package serve

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// schedulesOfFile returns the schedules of the file that server.schedules names; nil if it names none.
func schedulesOfFile(a *app.App, c dray.Config) ([]wire.ScheduleRequest, error) {
	file, err := a.LoadConfig()
	if err != nil || file.Server.Schedules == "" {
		return nil, err
	}
	m, err := config.ReadMirrors(file.Server.Schedules)
	if err != nil {
		return nil, err
	}
	if _, taken := file.ByName(wire.EmbeddedName); !taken {
		// The address of the embedded registry is not known yet. Only its name counts here.
		c.Registries = maps.Clone(c.Registries)
		c.Registries[wire.EmbeddedName] = dray.Registry{Host: wire.DefaultListen}
	}
	d, err := dray.New(c)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all := []wire.ScheduleRequest{}
	for _, rule := range m.Rules {
		made, err := ask.Schedules(d, rule, m.Path, a.Note)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	return all, nil
}

// dataDir returns the directory of the content: flag, else the default by the XDG base directory
// specification 0.8.
func dataDir(a *app.App, flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if dir := a.IO.Env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dray", "registry"), nil
	}
	if a.IO.Home == "" {
		return "", errors.New("there is no home directory for the content")
	}
	return filepath.Join(a.IO.Home, ".local", "share", "dray", "registry"), nil
}

// serverLog returns the log of a server on stderr. Without --verbose or --debug it has only warnings and
// errors.
func serverLog(a *app.App) *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.Debug:
		level = slog.LevelDebug
	case a.Verbose:
		level = slog.LevelInfo
	case a.Quiet:
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
}

// readDatabaseFile reads the URL of a database from a file, which keeps it out of the configuration.
func readDatabaseFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(raw)) == "" {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "read address of database", Name: path, Err: out.Bare(err)}
	}
	return strings.TrimSpace(string(raw)), nil
}

// serverSetup makes the settings of a server from the flags, the configuration and the environment. The
// first of these that has a setting counts.
func serverSetup(a *app.App, cmd *cobra.Command, f app.ServeFlags) (app.Setup, error) {
	d, file, err := a.DrayConfig()
	if err != nil {
		return app.Setup{}, err
	}
	s := app.Setup{ServeFlags: f, File: file.Server, Dray: d, Version: app.Version(), Log: serverLog(a), Env: a.IO.Env,
		Files: a.IO.Files}
	if s.Gates, err = a.NamedGates(file); err != nil {
		return s, err
	}
	for _, text := range f.Nets {
		net, err := netip.ParsePrefix(text)
		if err != nil {
			return s, flag.UsageError(cmd, fmt.Errorf("--egress %s: not a network", text),
				"write ADDRESS/BITS, such as 10.0.0.0/8")
		}
		s.Egress = append(s.Egress, net.Masked())
	}
	if s.Data, err = dataDir(a, cmp.Or(f.Data, file.Server.Data)); err != nil {
		return s, flag.UsageError(cmd, err, "name a directory with --data")
	}
	s.Engine, s.From.Engine = engineOf(a, f.Engine, file.Server)
	s.Database, s.From.Database, err = databaseOf(a, f.PlaceFlags, file.Server)
	return s, err
}

// engineOf returns the URL of the engine, and what set it; "" means the engine inside the process. A variable that does
// not count, since the configuration names an engine, is named on stderr.
func engineOf(a *app.App, flag string, s config.Server) (url, from string) {
	typed := a.IO.Env("DRAY_ENGINE")
	if flag == "" && s.Engine != "" && typed != "" && !a.Quiet {
		a.Warnf("DRAY_ENGINE has no effect: the configuration names an engine with server.engine")
	}
	switch {
	case flag != "":
		return flag, "--engine"
	case s.Engine != "":
		return s.Engine, "server.engine"
	case typed != "":
		return typed, "DRAY_ENGINE"
	}
	return "", ""
}

// databaseOf returns the URL of the database, and what set it; "" means the file in the data directory. A variable that
// does not count, since the configuration names a database, is named on stderr.
func databaseOf(a *app.App, f app.PlaceFlags, s config.Server) (url, from string, err error) {
	typed := a.IO.Env("DRAY_DATABASE")
	if f.Database != "" {
		return f.Database, "--database", nil
	}
	key := ""
	for k, value := range map[string]string{
		"database-env": s.DatabaseEnv, "database-file": s.DatabaseFile, "database": s.Database,
	} {
		if value != "" {
			key = "server." + k
		}
	}
	if key != "" && typed != "" && s.DatabaseEnv != "DRAY_DATABASE" && !a.Quiet {
		a.Warnf("DRAY_DATABASE has no effect: the configuration names a database with %s", key)
	}
	switch {
	case s.DatabaseEnv != "":
		url, err = a.Variable("server.database-env", s.DatabaseEnv)
	case s.DatabaseFile != "":
		url, err = readDatabaseFile(s.DatabaseFile)
	case s.Database != "":
		url = s.Database
	case typed != "":
		url, key = typed, "DRAY_DATABASE"
	}
	return url, key, err
}
