package cli

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func newServe(a *app) *cobra.Command {
	var f ServeFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server: a registry, and every verb as a job",
		Long: "Run a registry that keeps its content in a directory, and take in what dray --server, REST and\n" +
			"the real az acr import ask for: jobs that survive crashes, go from registry to registry, and can\n" +
			"be watched, canceled, retried and scheduled. As long as nobody is configured it listens on\n" +
			"loopback and takes whoever comes from this machine for its admin; dray serve token create makes\n" +
			"the first token. It stops on SIGINT or SIGTERM; jobs that do not end in time go on at the next\n" +
			"start. Settings come from the flags, else from server: in the configuration.",
		Example: "  dray serve\n" +
			"  dray serve --listen 0.0.0.0:5443 --tls-cert server.pem --tls-key server.key --data /srv/dray\n" +
			"  dray serve --config /etc/dray/config.yaml --check\n" +
			"  dray serve token create ci --role submitter",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runServe(cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Listen, "listen", "", "`HOST:PORT`; port 0 takes a free one (default "+wire.DefaultListen+")")
	f.PlaceFlags.addTo(flags)
	flags.StringVar(&f.PublicURL, "public-url", "", "what clients call the server, as in `https://HOST` (default what each request says)")
	flags.StringVar(&f.Cert, "tls-cert", "", "speak TLS by the certificate in this PEM `FILE`, read again when it changes")
	flags.StringVar(&f.Key, "tls-key", "", "the certificate's key, a PEM `FILE`")
	flags.StringVar(&f.ClientCA, "client-ca", "", "take clients by certificates that the one in this PEM `FILE` signs")
	flags.StringVar(&f.Htpasswd, "htpasswd", "", "take the users of this `FILE`, with bcrypt hashes")
	flags.BoolVar(&f.Plain, "allow-plain", false, "no TLS elsewhere than on loopback too: for a server behind a proxy that has it")
	flags.StringArrayVar(&f.Nets, "egress", nil, "let jobs reach this private `NET` too, as in 10.20.0.0/16; repeatable")
	f.addWorkTo(flags)
	flags.BoolVar(&f.Check, "check", false, "say what a server would find, without serving")
	cmd.AddCommand(newServeToken(a), newServeSecret(a), newServeAudit(a), newServeGC(a), newServeBackup(a), newServeRestore(a))
	return cmd
}

// addWorkTo adds the flags of all that works on jobs.
func (f *ServeFlags) addWorkTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Ops, "ops", "", "show /healthz, /readyz and /metrics at `HOST:PORT` too, without TLS and to everybody")
	flags.IntVar(&f.Slots, "slots", 0, "`N` jobs at a time in this process; -1 is none (default 4)")
	flags.DurationVar(&f.Keep, "keep", 0, "forget jobs that ended this `DURATION` ago (default 720h)")
}

func (a *app) runServe(cmd *cobra.Command, f ServeFlags) error {
	here, err := a.serving(cmd.Context())
	if err != nil {
		return err
	}
	s, err := a.serverSetup(cmd, f)
	if err != nil {
		return err
	}
	if s.Schedules, err = a.schedulesOfFile(s.Dray); err != nil {
		return err
	}
	if f.Check {
		all, err := here.Check(cmd.Context(), s)
		if err != nil {
			return err
		}
		return a.printFindings(all)
	}
	scheme := "http"
	if cmp.Or(f.Cert, s.File.TLS.Cert) != "" {
		scheme = "https"
	}
	s.Ready = func(addr net.Addr) {
		if !a.quiet {
			a.warn("serving %s at %s://%s; Ctrl-C stops it", s.Data, scheme, addr)
		}
		a.printAddress(addr, s.Data)
	}
	return here.Serve(cmd.Context(), s)
}

func newWorker(a *app) *cobra.Command {
	var f ServeFlags
	cmd := &cobra.Command{
		Use:   "worker --database postgres://…",
		Short: "Work on the jobs of servers that share a database",
		Long: "Run jobs of a PostgreSQL database that servers accept them into, on a machine of its own. It\n" +
			"wants the servers' key for secrets and their registries: give it their configuration. It accepts\n" +
			"nothing. It stops on SIGINT or SIGTERM; jobs that do not end in time go to another worker.",
		Example: "  DRAY_DATABASE=postgres://dray@db/dray dray worker --config /etc/dray/config.yaml --slots 8\n" +
			"  dray worker --database postgres://dray@db/dray --ops 127.0.0.1:9100",
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runWorker(cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.PlaceFlags.addTo(flags)
	flags.StringArrayVar(&f.Nets, "egress", nil, "let jobs reach this private `NET` too, as in 10.20.0.0/16; repeatable")
	f.addWorkTo(flags)
	return cmd
}

func (a *app) runWorker(cmd *cobra.Command, f ServeFlags) error {
	here, err := a.serving(cmd.Context())
	if err != nil {
		return err
	}
	s, err := a.serverSetup(cmd, f)
	if err != nil {
		return err
	}
	s.Ready = func(addr net.Addr) {
		if !a.quiet {
			a.warn("working; Ctrl-C stops it")
		}
		if addr != nil {
			a.printAddress(addr, s.Data)
		}
	}
	return here.Work(cmd.Context(), s)
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
		text:   func() error { _, err := fmt.Fprintln(a.out, value.Address); return err },
		header: []string{"ADDRESS", "DATA"},
		rows:   func(row func(...string) error) error { return row(value.Address, value.Data) },
	})
}

// printFindings is the answer of --check: a line for each part, and an exit code for what is wrong.
func (a *app) printFindings(all []wire.Finding) error {
	var failures []error
	word := map[bool]string{true: "ok", false: "bad"}
	err := a.print(answer{
		json: func() error { return a.printJSON(map[string][]wire.Finding{"findings": all}) },
		text: func() error {
			for _, f := range all {
				if _, err := fmt.Fprintf(a.out, "%-3s  %s: %s\n", word[f.OK], f.What, oneLine(f.Text)); err != nil {
					return err
				}
			}
			return nil
		},
		header: []string{"STATE", "PART", "FINDING"},
		rows: func(row func(...string) error) error {
			for _, f := range all {
				if err := row(word[f.OK], f.What, oneLine(f.Text)); err != nil {
					return err
				}
			}
			return nil
		},
	})
	for _, f := range all {
		if !f.OK {
			bad := &fault.Fault{Kind: f.Kind, Op: "check", Name: f.What, Hint: f.Hint, Err: errors.New(f.Text)}
			failures = append(failures, bad)
			a.fail(bad)
		}
	}
	if err != nil || len(failures) == 0 {
		return err
	}
	return ended(exitOf(0, failures))
}

// dataDir is where the content is kept unless told otherwise (XDG base directory specification 0.8).
func (a *app) dataDir(flag string) (string, error) {
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
func (a *app) serverLog() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.debug:
		level = slog.LevelDebug
	case a.verbose:
		level = slog.LevelInfo
	case a.quiet:
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// readDatabaseFile reads the address of a database from a file that only its owner reads.
func readDatabaseFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(raw)) == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "read address of database", Name: path, Err: bare(err)}
	}
	return strings.TrimSpace(string(raw)), nil
}
