package serve

import (
	"cmp"
	"errors"
	"net"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// NewServe makes the command dray serve.
func NewServe(a *app.App) *cobra.Command {
	var f app.ServeFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server: a registry that also runs dray's commands as jobs",
		Long: "Run a server: a registry that also runs dray's commands as jobs. The registry keeps its content in a " +
			"directory. dray --server, REST clients and the real az acr import can start a job.\n\n" +
			"A job runs import, copy, tag, batch, transfer, plan, apply or verify, between any registries. Jobs " +
			"survive crashes of the server. Users can watch, cancel, retry and schedule jobs.\n\n" +
			"Until a user, a token or a certificate is configured, the server listens only on the loopback " +
			"interface, and every request from this machine has the rights of an admin. dray serve token create " +
			"makes the first token.\n\n" +
			"SIGINT or SIGTERM stops the server. Jobs that do not end in time continue at the next start. " +
			"Settings come from the flags, else from the section server: of the configuration.",
		Example: "  dray serve\n" +
			"  dray serve --listen 0.0.0.0:5443 --tls-cert server.pem --tls-key server.key \\\n" +
			"      --data /srv/dray\n" +
			"  dray serve --config /etc/dray/config.yaml --check\n" +
			"  dray serve token create ci --role submitter",
		Args: flag.NoneButCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServe(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Listen, "listen", "",
		"listen on `HOST:PORT`; port 0 means any free port (default "+wire.DefaultListen+")")
	addPlaceAs(&f.PlaceFlags, flags, "keep the registry's content in", "keep jobs and tokens in the database at")
	flags.StringVar(&f.PublicURL, "public-url", "",
		"clients reach the server at `URL`, such as https://dray.example (default the host of each request)")
	flags.StringVar(&f.Cert, "tls-cert", "",
		"use TLS with the certificate in this PEM `FILE`, which is read again when it changes")
	flags.StringVar(&f.Key, "tls-key", "", "use the key of the certificate in this PEM `FILE`")
	flags.StringVar(&f.ClientCA, "client-ca", "",
		"accept clients whose certificate a CA in this PEM `FILE` has signed")
	flags.StringVar(&f.Htpasswd, "htpasswd", "",
		"accept the users in this htpasswd `FILE`, whose passwords are bcrypt hashes")
	flags.BoolVar(&f.Plain, "allow-plain", false,
		"allow the server to listen without TLS on interfaces other than loopback, behind a proxy that has TLS")
	flags.StringArrayVar(&f.Nets, "egress", nil, egressText)
	addWorkTo(&f, flags, "default, and always the jobs of this registry")
	flags.BoolVar(&f.Check, "check", false, "check all that a start requires, print what is wrong, and do not serve")
	cmd.AddCommand(newServeToken(a), newServeSecret(a), newServeAudit(a))
	cmd.AddCommand(newServeGC(a), newServeBackup(a), newServeRestore(a))
	return cmd
}

func runServe(a *app.App, cmd *cobra.Command, f app.ServeFlags) error {
	here, err := serving(cmd.Context(), a)
	if err != nil {
		return err
	}
	s, err := serverSetup(a, cmd, f)
	if err != nil {
		return err
	}
	if s.Schedules, err = schedulesOfFile(a, s.Dray); err != nil {
		return err
	}
	if f.Check {
		all, err := here.Check(cmd.Context(), s)
		if err != nil {
			return err
		}
		return printFindings(a, all)
	}
	scheme := "http"
	if cmp.Or(f.Cert, s.File.TLS.Cert) != "" {
		scheme = "https"
	}
	s.Ready = func(addr net.Addr) {
		if !a.Quiet {
			a.Warnf("serving %s at %s://%s; press Ctrl-C to stop", s.Data, scheme, addr)
		}
		printAddress(a, addr, s.Data)
	}
	return here.Serve(cmd.Context(), s)
}

// printFindings prints the answer of --check, a line for each part, and returns the exit code.
func printFindings(a *app.App, all []wire.Finding) error {
	var failures []error
	word := map[bool]string{true: "ok", false: "bad"}
	err := a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(map[string][]wire.Finding{"findings": all}) },
		Text: func() error {
			for _, f := range all {
				if err := a.Printf("%-3s  %s: %s\n", word[f.OK], f.What, out.OneLine(f.Text)); err != nil {
					return err
				}
			}
			return nil
		},
		Header: []string{"STATE", "PART", "FINDING"},
		Rows: func(row func(...string) error) error {
			for _, f := range all {
				if err := row(word[f.OK], f.What, out.OneLine(f.Text)); err != nil {
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
			a.Fail(bad)
		}
	}
	if err != nil || len(failures) == 0 {
		return err
	}
	return out.Ended(out.ExitOf(0, failures))
}
