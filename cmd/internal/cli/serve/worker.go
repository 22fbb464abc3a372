package serve

import (
	"net"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
)

// NewWorker makes dray worker.
func NewWorker(a *app.App) *cobra.Command {
	var f app.ServeFlags
	cmd := &cobra.Command{
		Use:   "worker --database postgres://…",
		Short: "Work on the jobs of servers that share a database",
		Long: "Run jobs of a PostgreSQL database that servers accept them into, on a machine of its own. It\n" +
			"wants the servers' key for secrets and their registries: give it their configuration. It accepts\n" +
			"nothing. It stops on SIGINT or SIGTERM; jobs that do not end in time go to another worker.",
		Example: "  DRAY_DATABASE=postgres://dray@db/dray dray worker --config /etc/dray/config.yaml --slots 8\n" +
			"  dray worker --database postgres://dray@db/dray --ops 127.0.0.1:9100",
		Args: flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runWorker(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	addPlaceTo(&f.PlaceFlags, flags)
	flags.StringArrayVar(&f.Nets, "egress", nil, "let jobs reach this private `NET` too, as in 10.20.0.0/16; repeatable")
	addWorkTo(&f, flags)
	return cmd
}

func runWorker(a *app.App, cmd *cobra.Command, f app.ServeFlags) error {
	here, err := serving(cmd.Context(), a)
	if err != nil {
		return err
	}
	s, err := serverSetup(a, cmd, f)
	if err != nil {
		return err
	}
	s.Ready = func(addr net.Addr) {
		if !a.Quiet {
			a.Warn("working; Ctrl-C stops it")
		}
		if addr != nil {
			printAddress(a, addr, s.Data)
		}
	}
	return here.Work(cmd.Context(), s)
}
