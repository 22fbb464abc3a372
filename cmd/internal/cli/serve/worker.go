package serve

import (
	"net"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
)

// NewWorker makes the command dray worker.
func NewWorker(a *app.App) *cobra.Command {
	var f app.ServeFlags
	cmd := &cobra.Command{
		Use:   "worker --engine URL --database URL",
		Short: "Run the jobs of servers on another machine",
		Long: "Run the jobs that servers have accepted, for example on another machine. The servers and workers share an " +
			"engine, which hands out the jobs, and a PostgreSQL database, which has their content. A worker needs the " +
			"registries of the servers and the key of their secrets, so give it their configuration. A worker has no " +
			"registry and accepts no requests.\n\n" +
			"A worker that starts before the database or the engine waits for it. SIGINT or SIGTERM stops the worker. " +
			"Jobs that do not end in time go to another worker.",
		Example: "  dray worker --engine temporal://temporal:7233/dray \\\n" +
			"      --database postgres://dray@db/dray --config dray.yaml --slots 8\n" +
			"  dray worker --config dray.yaml --pool zone-b --ops 127.0.0.1:9100",
		Args: flag.Exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runWorker(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	addPlaceTo(&f.PlaceFlags, flags)
	flags.StringArrayVar(&f.Nets, "egress", nil, egressText)
	addWorkTo(&f, flags, "default")
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
			a.Warnf("working; press Ctrl-C to stop")
		}
		if addr != nil {
			printAddress(a, addr, s.Data)
		}
	}
	return here.Work(cmd.Context(), s)
}
