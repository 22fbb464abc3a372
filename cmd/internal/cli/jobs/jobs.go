package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
)

// NewJobs makes the command dray jobs.
func NewJobs(a *app.App) *cobra.Command {
	return flag.Gathered("jobs list|show|watch|wait|logs|cancel|retry",
		"Look at the jobs of a server, wait for them, cancel or retry them",
		"Look at the jobs of a dray server, wait for them, cancel them, or retry them. An admin sees all "+
			"jobs; everybody else sees only their own.",
		"  dray jobs list --state running,queued\n"+
			"  dray jobs watch 01KAM3ZQ6M8Y9S5V0T1X2B3C4D\n"+
			"  dray jobs retry 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		newJobsList(a), newJobsShow(a), newJobsWatch(a), newJobsWait(a), newJobsLogs(a), newJobsCancel(a), newJobsRetry(a))
}

// jobFlags holds the flags of dray jobs list.
type jobFlags struct {
	states, verbs []string
	since         string
	text, owner   string
	schedule      string
	limit         int
	after         string
}

func newJobsList(a *app.App) *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs, the newest first",
		Long: "List jobs, the newest first. If there are more than --limit, a note says how to list the next ones. " +
			"With --limit 0, dray lists all jobs.",
		Example: "  dray jobs list --state failed,partly --since 7d\n" +
			"  dray jobs list --text prod/team --verb transfer -o json",
		Args: flag.Exactly(0, "no argument"),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.states, "state", nil,
		"only jobs in one of these `STATES`: queued, running, waiting, done, partly, failed, canceled")
	flags.StringSliceVar(&f.verbs, "verb", nil,
		"only jobs of one of these `COMMANDS`: "+strings.Join(wire.Kinds(), ", "))
	flags.StringVar(&f.since, "since", "",
		"only jobs created less than `AGE` ago, such as 7d or 36h, or since a time, such as 2026-11-21T08:00:00Z")
	flags.StringVar(&f.text, "text", "", "only jobs with `TEXT` in their source, target or id")
	flags.StringVar(&f.owner, "principal", "", "only jobs of the principal `NAME`; for admins")
	flags.StringVar(&f.schedule, "schedule", "", "only jobs of the schedule with this `ID`")
	flags.IntVar(&f.limit, "limit", 50, "list at most `N` jobs; 0 means all")
	flags.StringVar(&f.after, "after", "", "list the jobs that follow an earlier list, whose note shows `CURSOR`")
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		filter, err := f.filter(cmd, time.Now())
		if err != nil {
			return err
		}
		jobs, next, err := pages(ctx, c, filter, f.limit)
		if err != nil {
			return err
		}
		if err := printJobs(a, jobs, next); err != nil {
			return err
		}
		if next != "" && !a.Quiet {
			a.Warnf("note: there are more jobs; to list the next ones: %s", app.Again(cmd, "--after", next))
		}
		return nil
	})
}

func (f jobFlags) filter(cmd *cobra.Command, now time.Time) (wire.Filter, error) {
	out := wire.Filter{Kinds: f.verbs, Text: f.text, Principal: f.owner, Schedule: f.schedule, After: f.after}
	for _, s := range f.states {
		if !slices.Contains(wire.States(), wire.State(s)) {
			return out, flag.UsageError(cmd, fmt.Errorf("--state %s: no such state", s),
				"write queued, running, waiting, done, partly, failed or canceled")
		}
		out.States = append(out.States, wire.State(s))
	}
	for _, v := range f.verbs {
		if !slices.Contains(wire.Kinds(), v) {
			return out, flag.UsageError(cmd, fmt.Errorf("--verb %s: no such command", v),
				"write one of "+strings.Join(wire.Kinds(), ", "))
		}
	}
	if f.since == "" {
		return out, nil
	}
	if at, err := time.Parse(time.RFC3339, f.since); err == nil {
		out.Since = at
		return out, nil
	}
	age, err := plan.ParseAge(f.since)
	if err != nil {
		return out, flag.UsageError(cmd, fmt.Errorf("--since %s: neither an age nor a time", f.since),
			"write for example 7d, 36h or 2026-11-21T08:00:00Z")
	}
	out.Since = now.Add(-age)
	return out, nil
}

// pages reads at most limit jobs; 0 means all. next is where the following page begins; "" means that
// there is none.
func pages(ctx context.Context, c *client.Client, f wire.Filter, limit int) (all []wire.Job, next string, err error) {
	for {
		f.Limit = maxPage
		if limit > 0 {
			f.Limit = min(maxPage, limit-len(all))
		}
		page, next, err := c.Jobs(ctx, f)
		if err != nil {
			return all, next, err
		}
		all = append(all, page...)
		if next == "" || limit > 0 && len(all) >= limit {
			return all, next, nil
		}
		f.After = next
	}
}

func printJobs(a *app.App, jobs []wire.Job, next string) error {
	if a.Format == out.FormatJSON {
		return a.PrintJSON(wire.Jobs{Jobs: append([]wire.Job{}, jobs...), Next: next})
	}
	header := []string{"ID", "STATE", "VERB", "CREATED", "BY", "SOURCE", "TARGET"}
	return out.PrintList(&a.Console, jobs, "jobs", header, func(j wire.Job) []string {
		return []string{
			j.ID,
			string(j.State),
			j.Kind,
			out.Moment(j.Created),
			out.Dashed(j.Principal),
			out.Dashed(j.Source),
			out.Dashed(j.Target),
		}
	})
}

func newJobsShow(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one job: its state, its progress, and why it failed",
		Long: "Show one job: its state, its progress and, if it failed, why. With -o json, dray also prints the " +
			"request, without logins.",
		Example: "  dray jobs show 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		Args:    flag.Exactly(1, "the id of one job, as "+shell.Dray("jobs", "list")+" shows it"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, args []string) error {
		j, err := findJob(ctx, a, c, args[0])
		if err != nil {
			return err
		}
		rows := jobRows(j, time.Now())
		return a.Print(out.Answer{
			JSON: func() error { return a.PrintJSON(j) },
			Text: func() error {
				for _, r := range rows {
					if err := a.Printf("%-9s  %s\n", r[0], out.OneLine(r[1])); err != nil {
						return err
					}
				}
				return nil
			},
			Header: []string{"KEY", "VALUE"},
			Rows: func(row func(...string) error) error {
				for _, r := range rows {
					if err := row(r[0], out.OneLine(r[1])); err != nil {
						return err
					}
				}
				return nil
			},
		})
	})
}

// jobRows returns the keys and values that dray jobs show prints.
func jobRows(j wire.Job, now time.Time) [][2]string {
	var rows [][2]string
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, [2]string{key, value})
		}
	}
	at := func(key string, t time.Time) {
		if !t.IsZero() {
			add(key, out.Moment(t))
		}
	}
	add("id", j.ID)
	add("verb", j.Kind)
	state := string(j.State)
	if j.CancelRequested && !j.State.Ended() {
		state += ", cancel requested"
	}
	add("state", state)
	add("waits", j.Blocked)
	add("by", j.Principal)
	add("source", j.Source)
	add("target", j.Target)
	add("parent", j.Parent)
	add("schedule", j.Schedule)
	at("created", j.Created)
	at("started", j.Started)
	at("ended", j.Ended)
	var p wire.Progress
	if json.Unmarshal(j.Progress, &p) == nil && p.Steps > 0 {
		line := out.BeatOf(p)
		if j.State.Ended() {
			line = out.EndOf(p)
		}
		add("progress", line)
	}
	if !j.Started.IsZero() {
		end := j.Ended
		if end.IsZero() {
			end = now
		}
		add("took", out.Seconds(end.Sub(j.Started)))
	}
	if j.Attempt > 1 {
		add("attempt", strconv.Itoa(j.Attempt))
	}
	add("pool", j.Pool)
	switch {
	case p.Parts > 0 && !j.State.Ended(): // its owner only divided it
		add("worker", "several, see "+shell.Dray("workers"))
	case p.Parts == 0:
		add("worker", j.Owner)
	}
	if f := j.Failure; f != nil {
		add("failure", f.Text)
		add("hint", f.Hint)
	}
	return rows
}

func newJobsLogs(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print the log of a job",
		Long: "Print the log of a job: its notes, the steps that failed, and when it waited for a " +
			"registry or tried again.",
		Example: "  dray jobs logs 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		Args:    flag.Exactly(1, "the id of one job, as "+shell.Dray("jobs", "list")+" shows it"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, args []string) error {
		var all []wire.Line
		if err := c.Log(ctx, args[0], func(l wire.Line) error { all = append(all, l); return nil }); err != nil {
			return nearJob(ctx, a, c, args[0], err)
		}
		j, err := c.Job(ctx, args[0])
		if err != nil {
			return err
		}
		all = withFailure(all, j)
		return a.Print(out.Answer{
			JSON: func() error { return a.PrintJSON(map[string][]wire.Line{"lines": append([]wire.Line{}, all...)}) },
			Text: func() error {
				for _, l := range all {
					if err := a.Println(out.Moment(l.At), out.OneLine(l.Text)); err != nil {
						return err
					}
				}
				return nil
			},
			Header: []string{"AT", "TEXT"},
			Rows: func(row func(...string) error) error {
				for _, l := range all {
					if err := row(out.Moment(l.At), out.OneLine(l.Text)); err != nil {
						return err
					}
				}
				return nil
			},
		})
	})
}

// withFailure adds why j failed, or that it was canceled, to its log, unless the last line says so already.
func withFailure(log []wire.Line, j wire.Job) []wire.Line {
	if j.Failure == nil || !j.State.Ended() {
		return log
	}
	text := j.Failure.Text
	if n := len(log); n > 0 && strings.HasSuffix(text, log[n-1].Text) {
		return log
	}
	if j.Failure.Hint != "" {
		text += " (hint: " + j.Failure.Hint + ")"
	}
	return append(log, wire.Line{At: j.Ended, Text: string(j.State) + ": " + text})
}

func newJobsCancel(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel ID...",
		Short: "Cancel jobs",
		Long: "Ask jobs to stop. A queued job is canceled at once. A running job sets no further tag, and " +
			"ends its transfers within a second. Tags that it has set stay.",
		Example: "  dray jobs cancel 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		Args:    flag.AtLeast(1, "the ids of jobs, as "+shell.Dray("jobs", "list")+" shows them"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, ids []string) error {
		var all []wire.Job
		for _, id := range ids {
			j, err := c.Cancel(ctx, id)
			if err != nil {
				return nearJob(ctx, a, c, id, err)
			}
			if j.State.Ended() && j.State != wire.Canceled {
				return &fault.Fault{
					Kind: fault.Conflict,
					Op:   "cancel job",
					Name: id,
					Err:  errors.New("the job has ended: " + string(j.State)),
				}
			}
			if !a.Quiet {
				a.Warnf("job %s is %s", id, map[bool]string{true: "canceled", false: "asked to stop"}[j.State == wire.Canceled])
			}
			all = append(all, j)
		}
		if a.Format == out.FormatText {
			return nil
		}
		return printWaited(a, all)
	})
}

func newJobsRetry(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Make a new job that does again what failed in a job",
		Long: "Make a new job from a job that has ended, and print the id of the new job. For import, copy, " +
			"tag, batch and transfer, the new job does only the steps that failed or were not begun. For any other " +
			"command, it does everything again.\n\n" +
			"The server has removed the logins that came with the first job. Give them again with --src-creds and " +
			"--dst-creds.",
		Example: "  dray jobs retry 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		Args:    flag.Exactly(1, "the id of one job, as "+shell.Dray("jobs", "list")+" shows it"),
	}
	a.Common.AddLoginsTo(cmd.Flags())
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, args []string) error {
		from, err := a.SourceLogin(ctx)
		if err != nil {
			return err
		}
		to, err := a.TargetLogin(ctx)
		if err != nil {
			return err
		}
		j, err := c.Retry(ctx, args[0], ask.Logins(from, to), client.How{})
		if err != nil {
			return nearJob(ctx, a, c, args[0], err)
		}
		return run.PrintJobID(a, j)
	})
}
