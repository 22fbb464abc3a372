package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func newSchedules(a *app) *cobra.Command {
	return gathered("schedules list|put|pause|resume|run|remove", "Keep mirror rules in a server, which runs them at their times",
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

func newSchedulesList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List schedules: when they are due, and how they ended last",
		Long:    "List schedules with the next time, and the last job and how it ended.",
		Example: "  dray schedules list\n  dray schedules list -o json",
		Args:    exactly(0, "no argument"),
	}
	return a.atJobs(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := c.Schedules(ctx)
		if err != nil {
			return err
		}
		return printList(&a.console, all, "schedules", []string{"NAME", "WHEN", "ZONE", "NEXT", "LAST", "LASTJOB", "BY", "SOURCE", "TARGET"}, func(s wire.Schedule) []string {
			next := moment(s.NextDue)
			if s.Paused {
				next = "paused"
			}
			return []string{s.Name, s.Cron, cmp.Or(s.Zone, "UTC"), next, dashed(string(s.LastState)), dashed(s.LastJob), dashed(s.Principal), dashed(s.Source), dashed(s.Target)}
		})
	})
}

func newSchedulesPut(a *app) *cobra.Command {
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
		Args:    exactly(0, "the file after -f"),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the rules, a `FILE`")
	cmd.Flags().BoolVar(&prune, "prune", false, "remove one's schedules that the file does not have")
	return a.atJobs(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if file == "" {
			return usageError(cmd, errors.New("no file of rules"), "name one with -f")
		}
		m, err := config.ReadMirrors(file)
		if err != nil {
			return err
		}
		d, err := a.open()
		if err != nil {
			return err
		}
		defer d.Close()
		var all []wire.ScheduleRequest
		for _, rule := range m.Rules {
			made, err := schedulesOf(d, rule, m.Path)
			if err != nil {
				return err
			}
			all = append(all, made...)
			if rule.Jitter != 0 && !a.quiet {
				a.warn("note: %s: a server has no jitter; H as the minute of a schedule takes one of its own", rule.Name)
			}
		}
		return a.putSchedules(ctx, c, all, prune)
	})
}

// putSchedules stores all; one that is refused leaves those before it stored.
func (a *app) putSchedules(ctx context.Context, c *client.Client, all []wire.ScheduleRequest, prune bool) error {
	old, err := a.ownSchedules(ctx, c)
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
			a.printWord("removed", name)
		}
	}
	return printList(&a.console, put, "schedules", []string{"NAME", "WHEN", "ZONE", "NEXT"}, func(s wire.Schedule) []string {
		next := moment(s.NextDue)
		if s.Paused {
			next = "paused"
		}
		return []string{s.Name, s.Cron, cmp.Or(s.Zone, "UTC"), next}
	})
}

// ownSchedules are those of who asks, by name.
func (a *app) ownSchedules(ctx context.Context, c *client.Client) (map[string]wire.Schedule, error) {
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

// schedulesOf makes requests of a rule.
func schedulesOf(d *dray.Dray, r config.Mirror, path string) ([]wire.ScheduleRequest, error) {
	bad := func(err error, hint string) ([]wire.ScheduleRequest, error) {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "schedule", Name: fmt.Sprintf("%s:%d: %s", path, r.Line, r.Name), Err: err, Hint: hint}
	}
	s := wire.ScheduleRequest{Name: r.Name, Cron: r.Cron, Zone: r.TimeZone, Paused: r.Paused}
	if r.Every != "" {
		s.Cron = "@every " + r.Every
	}
	if s.Cron == "" {
		return bad(errors.New("it has no times"), "give it schedule: or every:; dray mirror runs rules without")
	}
	// The rule is read as dray mirror reads it, so that what is wrong is said here.
	work, err := mirror.WorkOf(d, r, time.Now())
	if err != nil {
		return bad(err, fault.HintOf(err))
	}
	var all []wire.ScheduleRequest
	if work.Transfer != nil {
		s := s
		s.Request = wire.Request{Kind: wire.KindTransfer, Transfer: transferOf(r, *work.Transfer)}
		all = append(all, s)
	}
	if work.Batch != nil {
		s.Request = batchJSON(*work.Batch)
		if len(all) > 0 {
			s.Name += ".images"
		}
		all = append(all, s)
	}
	return all, nil
}

// schedulesOfFile are those of the file that server.schedules names; nil where none is.
func (a *app) schedulesOfFile(c dray.Config) ([]wire.ScheduleRequest, error) {
	file, err := a.loadConfig()
	if err != nil || file.Server.Schedules == "" {
		return nil, err
	}
	m, err := config.ReadMirrors(file.Server.Schedules)
	if err != nil {
		return nil, err
	}
	d, err := dray.New(c)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all := []wire.ScheduleRequest{}
	for _, rule := range m.Rules {
		made, err := schedulesOf(d, rule, m.Path)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	return all, nil
}

// transferOf is the rule r, which req was made of, in the words that a server takes.
func transferOf(r config.Mirror, req dray.TransferRequest) *wire.Transfer {
	return &wire.Transfer{
		Ends: wire.Ends{
			Sources: r.Sources, Target: req.Target, Also: req.Also, Prefer: r.Prefer,
			Selection: wire.Selection{
				Letters: r.Letters, Ignore: r.Ignore, IncludeRepositories: r.Include, ExcludeRepositories: r.Exclude, MaxRepositories: r.MaxRepositories,
				IncludeTags: r.IncludeTags, ExcludeTags: r.ExcludeTags, Versions: r.Semver, NewerThan: r.NewerThan,
				Latest: r.Latest, Order: r.LatestBy, MinTags: r.MinTags, Untagged: r.Untagged,
			},
			Mapping: wire.Mapping{StripPrefix: r.Strip, Rename: r.Rewrite, Flatten: r.Flatten, Template: r.Template, AddPrefix: r.Prefix, MaxDepth: r.MaxDepth},
			Tagging: taggingJSON(req.Map, r.Rename),
		},
		Overwrite: string(req.Overwrite), Backup: r.Backup, Proof: string(req.Proof), CopyLocks: r.CopyLocks, Delay: r.Delay,
	}
}

// scheduleID finds a schedule by its id or its name; of two of one name it is one's own.
func (a *app) scheduleID(ctx context.Context, c *client.Client, what string) (string, error) {
	if isJobID(what) {
		return what, nil
	}
	own, err := a.ownSchedules(ctx, c)
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

func newScheduleAct(a *app, name, short, long string, act func(context.Context, *client.Client, string) error) *cobra.Command {
	done := map[string]string{"pause": "paused", "resume": "resumed", "remove": "removed"}[name]
	cmd := &cobra.Command{
		Use: name + " NAME...", Short: short, Long: long,
		Example: "  dray schedules " + name + " base-images",
		Args:    atLeast(1, "NAME..."),
	}
	return a.atJobs(cmd, func(ctx context.Context, c *client.Client, names []string) error {
		for _, what := range names {
			id, err := a.scheduleID(ctx, c, what)
			if err == nil {
				err = act(ctx, c, id)
			}
			if err != nil {
				return err
			}
			a.printWord(done, what)
		}
		return nil
	})
}

func newScheduleRun(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Make a schedule's job now",
		Long: "Make the job of a schedule now, also of one that is paused, and show it as dray jobs watch does;\n" +
			"with --no-wait print its id. Its next time stays as it was.",
		Example: "  dray schedules run base-images\n  dray schedules run base-images --no-wait",
		Args:    exactly(1, "NAME"),
	}
	cmd = a.atJobs(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := a.scheduleID(ctx, c, args[0])
		if err != nil {
			return err
		}
		j, err := c.RunSchedule(ctx, id)
		if err != nil {
			return err
		}
		if a.common.noWait {
			return a.printJobID(j)
		}
		return a.watchJob(ctx, c, j.ID)
	})
	a.common.addHandOverTo(cmd.Flags())
	return cmd
}
