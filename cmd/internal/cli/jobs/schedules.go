package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// NewSchedules makes the command dray schedules.
func NewSchedules(a *app.App) *cobra.Command {
	return flag.Gathered("schedules list|put|pause|resume|run|remove",
		"Keep mirror rules in a server, which runs them at their times",
		"Keep the rules of dray mirror in a server, which runs each rule as a job at its times. If several servers "+
			"share a database, only one of them starts the job. Two principals may use the same name for a schedule. "+
			"An admin sees all schedules.",
		"  dray schedules put -f mirrors.yaml\n"+
			"  dray schedules list\n"+
			"  dray schedules run base-images --no-wait",
		newSchedulesList(a), newSchedulesPut(a),
		newSchedulePause(a), newScheduleResume(a), newScheduleRun(a), newScheduleRemove(a),
	)
}

func newSchedulesList(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List schedules: when they run next, and how the last job ended",
		Long:    "List schedules: when each one runs next, its last job, and how that job ended.",
		Example: "  dray schedules list\n  dray schedules list -o json",
		Args:    flag.Exactly(0, "no argument"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := c.Schedules(ctx)
		if err != nil {
			return err
		}
		header := []string{"NAME", "WHEN", "ZONE", "NEXT", "LAST", "LASTJOB", "BY", "SOURCE", "TARGET"}
		return out.PrintList(&a.Console, all, "schedules", header, func(s wire.Schedule) []string {
			return append(timesOf(s),
				out.Dashed(string(s.LastState)),
				out.Dashed(s.LastJob),
				out.Dashed(s.Principal),
				out.Dashed(s.Source),
				out.Dashed(s.Target),
			)
		})
	})
}

// timesOf returns the name of a schedule and its times, as the first columns of a list.
func timesOf(s wire.Schedule) []string {
	next := out.Moment(s.NextDue)
	if s.Paused {
		next = "paused"
	}
	return []string{s.Name, s.Cron, cmp.Or(s.Zone, "UTC"), next}
}

func newSchedulesPut(a *app.App) *cobra.Command {
	var file string
	var prune bool
	cmd := &cobra.Command{
		Use:   "put -f FILE",
		Short: "Store the rules of a file as schedules",
		Long: "Store the rules of a file, as dray mirror reads it, as schedules. Each rule must have a schedule or an " +
			"interval. A schedule with the same name is replaced and keeps its history. With --prune, schedules " +
			"that are not in the file are removed.\n\n" +
			"A rule with both sources and images becomes two schedules, NAME and NAME.images. The " +
			"server reads the names of registries, and logins, from its own configuration.",
		Example: "  dray schedules put -f mirrors.yaml\n" +
			"  dray schedules put -f mirrors.yaml --prune",
		Args: flag.Exactly(0, "the file after -f"),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "read the rules from `FILE`")
	cmd.Flags().BoolVar(&prune, "prune", false, "remove your schedules that are not in the file")
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if file == "" {
			return flag.UsageError(cmd, errors.New("-f is missing"), "name the file of the rules")
		}
		m, err := config.ReadMirrors(file)
		if err != nil {
			return err
		}
		d, err := app.OpenNames(ctx, c)
		if err != nil {
			return err
		}
		defer d.Close()
		var all []wire.ScheduleRequest
		for _, rule := range m.Rules {
			made, err := ask.Schedules(d, rule, m.Path, a.Note)
			if err != nil {
				return err
			}
			all = append(all, made...)
			if rule.Jitter != 0 && !a.Quiet {
				a.Warnf("note: %s: a server ignores jitter; "+
					"write H as the minute of the schedule to spread runs over the hour", rule.Name)
			}
		}
		return putSchedules(ctx, a, c, all, prune)
	})
}

// putSchedules stores all. If one of them is refused, those before it stay stored.
func putSchedules(ctx context.Context, a *app.App, c *client.Client, all []wire.ScheduleRequest, prune bool) error {
	old, err := ownSchedules(ctx, c)
	if err != nil {
		return err
	}
	var put []wire.Schedule
	for _, s := range all {
		made, err := c.PutSchedule(ctx, old[s.Name].ID, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		delete(old, s.Name)
		put = append(put, made)
	}
	if prune {
		for _, name := range slices.Sorted(maps.Keys(old)) {
			if err := c.DeleteSchedule(ctx, old[name].ID); err != nil {
				return err
			}
			a.PrintWord("removed", name)
		}
	}
	return out.PrintList(&a.Console, put, "schedules", []string{"NAME", "WHEN", "ZONE", "NEXT"}, timesOf)
}

// ownSchedules returns the schedules of the caller, by name.
func ownSchedules(ctx context.Context, c *client.Client) (map[string]wire.Schedule, error) {
	who, err := c.Whoami(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.Schedules(ctx)
	own := map[string]wire.Schedule{}
	for _, s := range all {
		if s.Principal == who.Name {
			own[s.Name] = s
		}
	}
	return own, err
}

// scheduleID returns the id of the schedule with this id or name. If several have the name, it prefers the
// caller's own.
func scheduleID(ctx context.Context, a *app.App, c *client.Client, what string) (string, error) {
	if run.IsJobID(what) {
		return what, nil
	}
	own, err := ownSchedules(ctx, c)
	if err != nil {
		return "", err
	}
	if s, ok := own[what]; ok {
		return s.ID, nil
	}
	all, err := c.Schedules(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, s := range all {
		if s.Name == what {
			ids = append(ids, s.ID)
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		err := &fault.Fault{Kind: fault.NotFound, Op: "find schedule", Name: what}
		return "", nearSchedule(a, what, err, func() ([]wire.Schedule, error) { return all, nil })
	}
	return "", &fault.Fault{
		Kind: fault.Invalid,
		Op:   "find schedule",
		Name: what,
		Err:  errors.New("several principals have a schedule of this name"),
		Hint: "use its id: " + strings.Join(ids, ", "),
	}
}

func newSchedulePause(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pause NAME...",
		Short:   "Pause schedules",
		Long:    "Pause schedules: they start no job until they are resumed. Running jobs continue.",
		Example: "  dray schedules pause base-images",
	}
	return scheduleAct(a, cmd, "paused", func(ctx context.Context, c *client.Client, id string) error {
		_, err := c.PauseSchedule(ctx, id)
		return err
	})
}

func newScheduleResume(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume NAME...",
		Short: "Resume schedules that are paused",
		Long: "Resume schedules that are paused. " +
			"Runs that were due while a schedule was paused are skipped.",
		Example: "  dray schedules resume base-images",
	}
	return scheduleAct(a, cmd, "resumed", func(ctx context.Context, c *client.Client, id string) error {
		_, err := c.ResumeSchedule(ctx, id)
		return err
	})
}

func newScheduleRemove(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove NAME...",
		Short:   "Remove schedules",
		Long:    "Remove schedules. Their jobs are not removed.",
		Example: "  dray schedules remove base-images",
	}
	return scheduleAct(a, cmd, "removed", func(ctx context.Context, c *client.Client, id string) error {
		return c.DeleteSchedule(ctx, id)
	})
}

// scheduleAct makes cmd call act for each schedule that its arguments name, and print done.
func scheduleAct(
	a *app.App, cmd *cobra.Command, done string, act func(context.Context, *client.Client, string) error,
) *cobra.Command {
	cmd.Args = flag.AtLeast(1, "the names of schedules, as "+shell.Dray("schedules", "list")+" shows them")
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, names []string) error {
		for _, what := range names {
			id, err := scheduleID(ctx, a, c, what)
			if err == nil {
				err = act(ctx, c, id)
				err = nearSchedule(a, what, err, func() ([]wire.Schedule, error) { return c.Schedules(ctx) })
			}
			if err != nil {
				return err
			}
			a.PrintWord(done, what)
		}
		return nil
	})
}

func newScheduleRun(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Run the job of a schedule now",
		Long: "Start the job of a schedule now, even if the schedule is paused, and show it as dray jobs watch " +
			"does. With --no-wait, print the id of the job instead. The next time of the schedule does not change.",
		Example: "  dray schedules run base-images\n" +
			"  dray schedules run base-images --no-wait",
		Args: flag.Exactly(1, "the name of one schedule, as "+shell.Dray("schedules", "list")+" shows it"),
	}
	cmd = atJobs(a, cmd, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := scheduleID(ctx, a, c, args[0])
		if err != nil {
			return err
		}
		j, err := c.RunSchedule(ctx, id)
		if err != nil {
			return nearSchedule(a, args[0], err, func() ([]wire.Schedule, error) { return c.Schedules(ctx) })
		}
		if a.Common.NoWait {
			return run.PrintJobID(a, j)
		}
		return watchJob(ctx, a, c, j)
	})
	a.Common.AddNoWaitTo(cmd.Flags())
	return cmd
}
