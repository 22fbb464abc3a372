package jobs

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/wire"
)

// NewWorkers makes the command dray workers.
func NewWorkers(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "List the processes that run the jobs of a server",
		Long: "List the processes that run the jobs of a server: the server itself, other servers with its database, " +
			"and workers. STATE is alive, or gone for a process that has not reported for a while. SLOTS is how many jobs, " +
			"or parts of jobs, it runs at a time.",
		Example: "  dray workers\n" +
			"  dray workers -o json",
		Args: flag.Exactly(0, "no argument"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := c.Workers(ctx)
		if err != nil {
			return err
		}
		header := []string{"ID", "KIND", "STATE", "POOLS", "RUNNING", "SLOTS", "VERSION", "STARTED", "SEEN"}
		return out.PrintList(&a.Console, all, "workers", header, func(w wire.Worker) []string {
			pools := strings.Join(w.Pools, ",")
			if pools == "" && w.Slots > 0 {
				pools = pool.Default
			}
			running := ""
			if w.Alive {
				running = strconv.Itoa(w.Running)
			}
			return []string{
				w.ID, // it begins with the name, and jobs show names a worker by it
				w.Kind,
				map[bool]string{true: "alive", false: "gone"}[w.Alive],
				out.Dashed(pools),
				out.Dashed(running),
				strconv.Itoa(w.Slots),
				out.Dashed(w.Version),
				out.Moment(w.Started),
				out.Moment(w.Seen),
			}
		})
	})
}
