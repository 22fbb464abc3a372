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
)

// NewSchedules makes dray schedules.
func NewSchedules(a *app.App) *cobra.Command {
	return flag.Gathered("schedules list|put|pause|resume|run|remove", "Keep mirror rules in a server, which runs them at their times",
		"Keep the rules of dray mirror in a server: each becomes a job at its times, one in the whole\n"+
			"cluster. They are named, each principal's apart; an admin sees all.",
		"  dray schedules put -f mirrors.yaml\n  dray schedules list\n  dray schedules run base-images --no-wait",
		newSchedulesList(a), newSchedulesPut(a),
		newScheduleAct(a, "pause", "Let schedules rest", "Keep schedules from their times until they are resumed. Jobs that run go on.", func(ctx context.Context, c *client.Client, id string) error {
			_, err := c.PauseSchedule(ctx, id)
			return err
		}),
		newScheduleAct(a, "resume", "Let schedules go on", "Let schedules go on, from now: what would have been due meanwhile is not made up for.", func(ctx context.Context, c *client.Client, id string) error {
			_, err := c.ResumeSchedule(ctx, id)
			return err
		}),
		newScheduleRun(a),
		newScheduleAct(a, "remove", "Forget schedules", "Forget schedules. Their jobs stay.", func(ctx context.Context, c *client.Client, id string) error {
			return c.DeleteSchedule(ctx, id)
		}),
	)
}

func newSchedulesList(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List schedules: when they are due, and how they ended last",
		Long:    "List schedules with the next time, and the last job and how it ended.",
		Example: "  dray schedules list\n  dray schedules list -o json",
		Args:    flag.Exactly(0, "no argument"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := c.Schedules(ctx)
		if err != nil {
			return err
		}
		return out.PrintList(&a.Console, all, "schedules", []string{"NAME", "WHEN", "ZONE", "NEXT", "LAST", "LASTJOB", "BY", "SOURCE", "TARGET"}, func(s wire.Schedule) []string {
			next := out.Moment(s.NextDue)
			if s.Paused {
				next = "paused"
			}
			return []string{s.Name, s.Cron, cmp.Or(s.Zone, "UTC"), next, out.Dashed(string(s.LastState)), out.Dashed(s.LastJob), out.Dashed(s.Principal), out.Dashed(s.Source), out.Dashed(s.Target)}
		})
	})
}

func newSchedulesPut(a *app.App) *cobra.Command {
	var file string
	var prune bool
	cmd := &cobra.Command{
		Use:   "put -f FILE",
		Short: "Store the rules of a file, in place of what has their names",
		Long: "Store the rules of a file as dray mirror takes it. A rule of the same name is changed and keeps its\n" +
			"history; with --prune schedules that the file does not have are removed. Each wants a schedule or\n" +
			"an interval. A rule that has sources and images becomes two, NAME and NAME.images. Names of\n" +
			"registries are the server's, and so are the logins.",
		Example: "  dray schedules put -f mirrors.yaml\n  dray schedules put -f mirrors.yaml --prune",
		Args:    flag.Exactly(0, "the file after -f"),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the rules, a `FILE`")
	cmd.Flags().BoolVar(&prune, "prune", false, "remove one's schedules that the file does not have")
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if file == "" {
			return flag.UsageError(cmd, errors.New("no file of rules"), "name one with -f")
		}
		m, err := config.ReadMirrors(file)
		if err != nil {
			return err
		}
		d, err := a.Open()
		if err != nil {
			return err
		}
		defer d.Close()
		var all []wire.ScheduleRequest
		for _, rule := range m.Rules {
			made, err := ask.Schedules(d, rule, m.Path)
			if err != nil {
				return err
			}
			all = append(all, made...)
			if rule.Jitter != 0 && !a.Quiet {
				a.Warn("note: %s: a server has no jitter; H as the minute of a schedule takes one of its own", rule.Name)
			}
		}
		return putSchedules(ctx, a, c, all, prune)
	})
}

// putSchedules stores all; one that is refused leaves those before it stored.
func putSchedules(ctx context.Context, a *app.App, c *client.Client, all []wire.ScheduleRequest, prune bool) error {
	old, err := ownSchedules(ctx, a, c)
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
	return out.PrintList(&a.Console, put, "schedules", []string{"NAME", "WHEN", "ZONE", "NEXT"}, func(s wire.Schedule) []string {
		next := out.Moment(s.NextDue)
		if s.Paused {
			next = "paused"
		}
		return []string{s.Name, s.Cron, cmp.Or(s.Zone, "UTC"), next}
	})
}

// ownSchedules are those of who asks, by name.
func ownSchedules(ctx context.Context, a *app.App, c *client.Client) (map[string]wire.Schedule, error) {
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

// scheduleID finds a schedule by its id or its name; of two of one name it is one's own.
func scheduleID(ctx context.Context, a *app.App, c *client.Client, what string) (string, error) {
	if run.IsJobID(what) {
		return what, nil
	}
	own, err := ownSchedules(ctx, a, c)
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
		return "", &fault.Fault{Kind: fault.NotFound, Op: "find schedule", Name: what, Hint: "dray schedules list"}
	}
	return "", &fault.Fault{Kind: fault.Invalid, Op: "find schedule", Name: what, Err: errors.New("several principals have one of this name"), Hint: "name it by its id: " + strings.Join(ids, ", ")}
}

func newScheduleAct(a *app.App, name, short, long string, act func(context.Context, *client.Client, string) error) *cobra.Command {
	done := map[string]string{"pause": "paused", "resume": "resumed", "remove": "removed"}[name]
	cmd := &cobra.Command{
		Use: name + " NAME...", Short: short, Long: long,
		Example: "  dray schedules " + name + " base-images",
		Args:    flag.AtLeast(1, "NAME..."),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, names []string) error {
		for _, what := range names {
			id, err := scheduleID(ctx, a, c, what)
			if err == nil {
				err = act(ctx, c, id)
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
		Short: "Make a schedule's job now",
		Long: "Make the job of a schedule now, also of one that is paused, and show it as dray jobs watch does;\n" +
			"with --no-wait print its id. Its next time stays as it was.",
		Example: "  dray schedules run base-images\n  dray schedules run base-images --no-wait",
		Args:    flag.Exactly(1, "NAME"),
	}
	cmd = atJobs(a, cmd, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := scheduleID(ctx, a, c, args[0])
		if err != nil {
			return err
		}
		j, err := c.RunSchedule(ctx, id)
		if err != nil {
			return err
		}
		if a.Common.NoWait {
			return run.PrintJobID(a, j)
		}
		return watchJob(ctx, a, c, j.ID)
	})
	a.Common.AddHandOverTo(cmd.Flags())
	return cmd
}
