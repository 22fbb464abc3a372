package jobs

import (
	"cmp"
	"context"
	"errors"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
)

func newJobsWatch(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch ID",
		Short: "Show a job until it ends, as if its command ran here",
		Long: "Show a job as if its command ran here: progress bars on a terminal, the same lines, the same report " +
			"and the same exit code. An interrupt ends dray jobs watch, not the job.",
		Example: "  dray jobs watch 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		Args:    flag.Exactly(1, "the id of one job, as "+shell.Dray("jobs", "list")+" shows it"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, args []string) error {
		j, err := findJob(ctx, a, c, args[0])
		if err != nil {
			return err
		}
		return watchJob(ctx, a, c, j)
	})
}

// watchJob prints a job as its verb would if it ran here.
func watchJob(ctx context.Context, a *app.App, c *client.Client, j wire.Job) error {
	r, err := wire.RequestOf(j.Request)
	if err != nil {
		return err
	}
	at := &run.There{Client: c, Job: j}
	of, dryRun := r, r.Kind == wire.KindPlan
	if p := r.Plan; p != nil {
		of = wire.Request{Import: p.Import, Copy: p.Copy, Tag: p.Tag, Batch: p.Batch, Transfer: p.Transfer}
	}
	switch {
	case of.Verify != nil:
		return run.VerifyAt(ctx, a, at, run.Verifying{})
	case of.Transfer != nil:
		t := of.Transfer
		b, err := flag.BackupOf(t.Backup, j.Created)
		if err != nil {
			return err
		}
		return run.StreamAt(ctx, a, at, run.Streaming{
			Past:      "transferred",
			Verb:      "transfer",
			DryRun:    dryRun,
			Overwrite: plan.Overwrite(cmp.Or(t.Overwrite, string(plan.Update))),
			Backup:    b,
			Proof:     func() string { return proofOf(a, t.Ends) },
		})
	case of.Apply != nil:
		return run.StreamAt(ctx, a, at, run.Streaming{Past: "applied the plan to", Proof: run.SeeVerify})
	}
	w := writingOf(of)
	w.DryRun = dryRun
	return run.WriteAt(ctx, a, at, w)
}

// proofOf returns the command that proves the content of a transfer. If the transfer has a selection or renames,
// which are not known as flags, it returns the one that shows how.
func proofOf(a *app.App, e wire.Ends) string {
	plain := wire.Ends{Sources: e.Sources, Target: e.Target}
	if !reflect.DeepEqual(e, plain) {
		return run.SeeVerify()
	}
	words := append([]string{"verify"}, e.Sources...)
	return a.Next(append(words, e.Target, "--deep")...)
}

// writingOf returns how a job that imports, copies or tags is shown.
func writingOf(r wire.Request) run.Writing {
	switch {
	case r.Import != nil:
		return run.Writing{
			Past:    "imported",
			Many:    len(r.Import.Tags)+len(r.Import.Map) > 0,
			Hold:    plan.Hold(r.Import.Hold),
			Instead: "use --force to replace it",
		}
	case r.Copy != nil:
		return run.Writing{
			Past:    "copied",
			Many:    r.Copy.All != "",
			Hold:    plan.Hold(r.Copy.Hold),
			Instead: "use --overwrite update to replace it",
		}
	case r.Tag != nil:
		return run.Writing{
			Past: "tagged",
			Many: len(r.Tag.Map)+len(r.Tag.Rename) > 0,
			Hold: plan.Hold(r.Tag.Hold),
		}
	case r.Batch != nil:
		return run.Writing{
			Past:    "imported",
			Many:    true,
			Hold:    plan.Hold(r.Batch.Hold),
			Instead: "use --force to replace it",
		}
	}
	return run.Writing{}
}

func newJobsWait(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait ID...",
		Short: "Wait until jobs have ended, with the exit code of their commands",
		Long: "Wait until jobs have ended, and print the id and state of each. If the server is restarted in the " +
			"meantime, dray waits for it.\n\n" +
			"The exit code is that of the command, as if it ran here. For several jobs, it is the exit code that " +
			"they all share, else 6 if some of them succeeded, else 1.",
		Example: "  dray jobs wait 01KAM3ZQ6M8Y9S5V0T1X2B3C4D\n" +
			"  dray jobs wait $(dray transfer dev prod --no-wait)",
		Args: flag.AtLeast(1, "the ids of jobs, as "+shell.Dray("jobs", "list")+" shows them"),
	}
	return atJobs(a, cmd, func(ctx context.Context, c *client.Client, ids []string) error {
		var all []wire.Job
		codes := map[int]bool{}
		for _, id := range ids {
			code, j, err := waitJob(ctx, a, c, id)
			if err != nil {
				return err
			}
			codes[code] = true
			all = append(all, j)
		}
		if err := printWaited(a, all); err != nil {
			return err
		}
		switch {
		case len(codes) == 1:
			for code := range codes {
				if code != out.ExitOK {
					return out.Ended(code)
				}
			}
			return nil
		case codes[out.ExitOK] || codes[out.ExitPartly]:
			return out.Ended(out.ExitPartly)
		}
		return out.Ended(out.ExitFailed)
	})
}

// waitJob waits for a job and prints only errors. The exit code is made from the job's report, as the verb
// makes it.
func waitJob(ctx context.Context, a *app.App, c *client.Client, id string) (int, wire.Job, error) {
	silent := *a
	silent.Format, silent.Quiet = out.FormatNone, true
	j, err := findJob(ctx, a, c, id)
	if err != nil {
		return out.ExitCode(err), j, err
	}
	err = watchJob(ctx, &silent, c, j)
	var told out.Ended
	code := out.ExitOK
	switch {
	case errors.As(err, &told):
		code = int(told)
	case err != nil:
		code = out.ExitCode(err)
	}
	if ctx.Err() != nil {
		return code, wire.Job{}, err
	}
	j, lost := c.Job(ctx, id)
	if lost != nil {
		return code, j, lost
	}
	if err != nil && code == out.ExitCode(err) && !errors.As(err, &told) {
		if !j.State.Ended() { // waiting has failed, not the job
			return code, j, err
		}
		a.Fail(err)
	}
	return code, j, nil
}

func printWaited(a *app.App, all []wire.Job) error {
	return a.Print(out.Answer{
		JSON: func() error {
			if len(all) == 1 {
				return a.PrintJSON(all[0])
			}
			return a.PrintJSON(map[string][]wire.Job{"jobs": all})
		},
		Text: func() error {
			for _, j := range all {
				if err := a.Println(j.ID, j.State); err != nil {
					return err
				}
			}
			return nil
		},
		Header: []string{"ID", "STATE"},
		Rows: func(row func(...string) error) error {
			for _, j := range all {
				if err := row(j.ID, string(j.State)); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
