package jobs

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/fault"
)

// atJobs gives cmd the flag --server, and makes it call do with a client of that server.
func atJobs(
	a *app.App, cmd *cobra.Command, do func(ctx context.Context, c *client.Client, args []string) error,
) *cobra.Command {
	cmd.Flags().SortFlags = false
	a.Common.AddServerTo(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.NeedClient(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		err = do(cmd.Context(), c, args)
		if fault.Is(err, fault.NotFound) {
			err = out.WithHint(err, "see "+a.Next(cmd.Parent().Name(), "list"))
		}
		return err
	}
	return cmd
}
