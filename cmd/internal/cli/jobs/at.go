package jobs

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
)

// maxPage is the largest page of jobs that a server returns.
const maxPage = 500

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
		return do(cmd.Context(), c, args)
	}
	return cmd
}

// nearJob returns err with the similar jobs in its hint, if it says that there is no job id.
func nearJob(ctx context.Context, a *app.App, c *client.Client, id string, err error) error {
	return app.Nearest(err, "jobs", id, a.Next("jobs", "list"), func() ([]string, error) {
		jobs, _, err := c.Jobs(ctx, wire.Filter{Limit: maxPage})
		var ids []string
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		return ids, err
	})
}

// findJob returns the job id. If there is none, the error names similar ones.
func findJob(ctx context.Context, a *app.App, c *client.Client, id string) (wire.Job, error) {
	j, err := c.Job(ctx, id)
	return j, nearJob(ctx, a, c, id, err)
}

// nearSchedule returns err with the schedules in its hint that are similar to what, a name or an id, if it says that
// there is no such schedule.
func nearSchedule(a *app.App, what string, err error, list func() ([]wire.Schedule, error)) error {
	return app.Nearest(err, "schedules", what, a.Next("schedules", "list"), func() ([]string, error) {
		all, err := list()
		var names []string
		for _, s := range all {
			if names = append(names, s.Name); run.IsJobID(what) {
				names[len(names)-1] = s.ID
			}
		}
		slices.Sort(names)
		return slices.Compact(names), err // several principals may use one name
	})
}
