package serve

import (
	"cmp"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// NewServe makes dray serve.
func NewServe(a *app.App) *cobra.Command {
	var f app.ServeFlags
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
				return flag.UnknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runServe(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Listen, "listen", "", "`HOST:PORT`; port 0 takes a free one (default "+wire.DefaultListen+")")
	addPlaceTo(&f.PlaceFlags, flags)
	flags.StringVar(&f.PublicURL, "public-url", "", "what clients call the server, as in `https://HOST` (default what each request says)")
	flags.StringVar(&f.Cert, "tls-cert", "", "speak TLS by the certificate in this PEM `FILE`, read again when it changes")
	flags.StringVar(&f.Key, "tls-key", "", "the certificate's key, a PEM `FILE`")
	flags.StringVar(&f.ClientCA, "client-ca", "", "take clients by certificates that the one in this PEM `FILE` signs")
	flags.StringVar(&f.Htpasswd, "htpasswd", "", "take the users of this `FILE`, with bcrypt hashes")
	flags.BoolVar(&f.Plain, "allow-plain", false, "no TLS elsewhere than on loopback too: for a server behind a proxy that has it")
	flags.StringArrayVar(&f.Nets, "egress", nil, "let jobs reach this private `NET` too, as in 10.20.0.0/16; repeatable")
	addWorkTo(&f, flags)
	flags.BoolVar(&f.Check, "check", false, "say what a server would find, without serving")
	cmd.AddCommand(newServeToken(a), newServeSecret(a), newServeAudit(a), newServeGC(a), newServeBackup(a), newServeRestore(a))
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
			a.Warn("serving %s at %s://%s; Ctrl-C stops it", s.Data, scheme, addr)
		}
		printAddress(a, addr, s.Data)
	}
	return here.Serve(cmd.Context(), s)
}

// printFindings is the answer of --check: a line for each part, and an exit code for what is wrong.
func printFindings(a *app.App, all []wire.Finding) error {
	var failures []error
	word := map[bool]string{true: "ok", false: "bad"}
	err := a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(map[string][]wire.Finding{"findings": all}) },
		Text: func() error {
			for _, f := range all {
				if _, err := fmt.Fprintf(a.Out, "%-3s  %s: %s\n", word[f.OK], f.What, out.OneLine(f.Text)); err != nil {
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
