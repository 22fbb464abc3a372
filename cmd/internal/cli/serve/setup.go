package serve

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
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

// schedulesOfFile are those of the file that server.schedules names; nil where none is.
func schedulesOfFile(a *app.App, c dray.Config) ([]wire.ScheduleRequest, error) {
	file, err := a.LoadConfig()
	if err != nil || file.Server.Schedules == "" {
		return nil, err
	}
	m, err := config.ReadMirrors(file.Server.Schedules)
	if err != nil {
		return nil, err
	}
	d, err := dray.New(c)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all := []wire.ScheduleRequest{}
	for _, rule := range m.Rules {
		made, err := ask.Schedules(d, rule, m.Path)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	return all, nil
}

// dataDir is where the content is kept unless told otherwise (XDG base directory specification 0.8).
func dataDir(a *app.App, flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if dir := a.IO.Env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dray", "registry"), nil
	}
	if a.IO.Home == "" {
		return "", errors.New("no home directory to keep the content in")
	}
	return filepath.Join(a.IO.Home, ".local", "share", "dray", "registry"), nil
}

// serverLog writes what a server tells to stderr; what is no trouble only where that is asked for.
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

// readDatabaseFile reads the address of a database from a file that only its owner reads.
func readDatabaseFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(raw)) == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "read address of database", Name: path, Err: out.Bare(err)}
	}
	return strings.TrimSpace(string(raw)), nil
}

// serverSetup is what the flags, the configuration and the environment say, in this order.
func serverSetup(a *app.App, cmd *cobra.Command, f app.ServeFlags) (app.Setup, error) {
	d, file, err := a.DrayConfig()
	if err != nil {
		return app.Setup{}, err
	}
	s := app.Setup{ServeFlags: f, File: file.Server, Dray: d, Version: app.Version(), Log: serverLog(a), Env: a.IO.Env}
	for _, text := range f.Nets {
		net, err := netip.ParsePrefix(text)
		if err != nil {
			return s, flag.UsageError(cmd, fmt.Errorf("--egress %s: not a net", text), "ADDRESS/BITS, as in 10.0.0.0/8")
		}
		s.Egress = append(s.Egress, net.Masked())
	}
	if s.Data, err = dataDir(a, cmp.Or(f.Data, file.Server.Data)); err != nil {
		return s, flag.UsageError(cmd, err, "name a directory with --data")
	}
	s.Database, err = databaseOf(a, f.PlaceFlags, file.Server)
	return s, err
}

// databaseOf is "" for the file in the data directory.
func databaseOf(a *app.App, f app.PlaceFlags, s config.Server) (string, error) {
	switch {
	case f.Database != "":
		return f.Database, nil
	case s.DatabaseEnv != "":
		return a.Variable("server.database-env", s.DatabaseEnv)
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
