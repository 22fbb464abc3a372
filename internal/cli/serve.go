package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/internal/server"
)

func (a *app) newServe() *cobra.Command {
	var listen, data string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a registry on this machine",
		Long: "Run a registry that keeps its content in a directory. It has no authentication and listens on\n" +
			"loopback only. It stops on SIGINT or SIGTERM, after the requests under way.",
		Example: "  dray serve\n" +
			"  dray serve --listen 127.0.0.1:5001 --data /srv/registry",
		Args: exactly(0, "no argument"),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := a.dataDir(data)
		if err != nil {
			return usageError(cmd, err, "name a directory with --data")
		}
		level := slog.LevelWarn
		switch {
		case a.common.debug, a.common.verbose:
			level = slog.LevelDebug
		case a.common.quiet:
			level = slog.LevelError
		}
		return server.Run(cmd.Context(), server.Config{
			Listen: listen, Data: dir,
			Log: slog.New(slog.NewTextHandler(a.io.Err, &slog.HandlerOptions{Level: level})),
			Ready: func(addr net.Addr) {
				if !a.common.quiet {
					a.warn("serving %s at http://%s; Ctrl-C stops it", dir, addr)
				}
				a.printAddress(addr, dir)
			},
		})
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", server.DefaultListen, "`HOST:PORT` on loopback; port 0 takes a free one")
	flags.StringVar(&data, "data", "", "`DIR` of the content (default $XDG_DATA_HOME/dray/registry, else ~/.local/share/dray/registry)")
	return cmd
}

// printAddress is the answer of serve, printed when it is ready, so that a script can wait for it.
func (a *app) printAddress(addr net.Addr, dir string) {
	value := struct {
		Address string `json:"address"`
		Data    string `json:"data"`
	}{addr.String(), dir}
	// Who reads stdout may have gone; the registry runs on.
	_ = a.print(answer{
		json:   func() error { return a.printJSON(value) },
		text:   func() error { _, err := fmt.Fprintln(a.io.Out, value.Address); return err },
		header: []string{"ADDRESS", "DATA"},
		rows:   func(row func(...string) error) error { return row(value.Address, value.Data) },
	})
}

// dataDir is where the content is kept unless told otherwise (XDG base directory specification 0.8).
func (a *app) dataDir(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if dir := a.io.Env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dray", "registry"), nil
	}
	if a.io.Home == "" {
		return "", errors.New("no home directory to keep the content in")
	}
	return filepath.Join(a.io.Home, ".local", "share", "dray", "registry"), nil
}
