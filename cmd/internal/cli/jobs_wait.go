package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/plan"
)

func newJobsWatch(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch ID",
		Short: "Show a job as if it ran here, until it ends",
		Long: "Show a job as the verb itself would: bars on a terminal, its lines, its report and its exit code.\n" +
			"An interrupt ends the looking, not the job.",
		Example: "  dray jobs watch 01KAM3ZQ6M8Y9S5V0T1X2B3C4D",
		Args:    exactly(1, "ID"),
	}
	return a.atJobs(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		return a.watchJob(ctx, c, args[0])
	})
}

// watchJob tells of a job as its verb would.
func (a *app) watchJob(ctx context.Context, c *client.Client, id string) error {
	j, err := c.Job(ctx, id)
	if err != nil {
		return err
	}
	r, err := wire.RequestOf(j.Request)
	if err != nil {
		return err
	}
	at := &there{client: c, job: j}
	of, dryRun := r, r.Kind == wire.KindPlan
	if p := r.Plan; p != nil {
		of = wire.Request{Import: p.Import, Copy: p.Copy, Tag: p.Tag, Batch: p.Batch, Transfer: p.Transfer}
	}
	switch {
	case of.Verify != nil:
		return a.verifyAt(ctx, at, verifying{})
	case of.Transfer != nil:
		t := of.Transfer
		b, err := backupOf(t.Backup, j.Created)
		if err != nil {
			return err
		}
		return a.streamAt(ctx, at, streaming{past: "transferred", verb: "transfer", dryRun: dryRun, overwrite: plan.Overwrite(cmp.Or(t.Overwrite, string(plan.Update))), backup: b,
			proof: "dray verify SOURCE TARGET --deep"})
	case of.Apply != nil:
		return a.streamAt(ctx, at, streaming{past: "applied the plan to", proof: "dray verify SOURCE TARGET --deep"})
	}
	w := writing{dryRun: dryRun}
	switch {
	case of.Import != nil:
		w.past, w.many, w.hold, w.instead = "imported", len(of.Import.Tags)+len(of.Import.Map) > 0, plan.Hold(of.Import.Hold), "--force replaces it"
	case of.Copy != nil:
		w.past, w.many, w.hold, w.instead = "copied", of.Copy.All != "", plan.Hold(of.Copy.Hold), "--overwrite update replaces it"
	case of.Tag != nil:
		w.past, w.many, w.hold = "tagged", len(of.Tag.Map)+len(of.Tag.Rename) > 0, plan.Hold(of.Tag.Hold)
	case of.Batch != nil:
		w.past, w.many, w.hold, w.instead = "imported", true, plan.Hold(of.Batch.Hold), "--force replaces it"
	}
	return a.writeAt(ctx, at, w)
}

func newJobsWait(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait ID...",
		Short: "Wait until jobs have ended, with the exit code of their verbs",
		Long: "Wait for jobs and end with the exit code that their verbs would have ended with here: that of the\n" +
			"one job, or that which all share; 6 where some ended well and others did not, else 1. Prints a\n" +
			"line for each, its id and state. A server that is restarted meanwhile is waited for.",
		Example: "  dray jobs wait $(dray transfer dev prod --server https://dray.example --no-wait)",
		Args:    atLeast(1, "ID..."),
	}
	cmd.Example = "  dray jobs wait 01KAM3ZQ6M8Y9S5V0T1X2B3C4D"
	return a.atJobs(cmd, func(ctx context.Context, c *client.Client, ids []string) error {
		var all []wire.Job
		codes := map[int]bool{}
		for _, id := range ids {
			code, j, err := a.waitJob(ctx, c, id)
			if err != nil {
				return err
			}
			codes[code] = true
			all = append(all, j)
		}
		if err := a.printWaited(all); err != nil {
			return err
		}
		switch {
		case len(codes) == 1:
			for code := range codes {
				if code != exitOK {
					return ended(code)
				}
			}
			return nil
		case codes[exitOK] || codes[exitPartly]:
			return ended(exitPartly)
		}
		return ended(exitFailed)
	})
}

// waitJob waits in silence but for errors: the exit code is made of the job's report, as its verb makes it.
func (a *app) waitJob(ctx context.Context, c *client.Client, id string) (int, wire.Job, error) {
	silent := *a
	silent.format, silent.quiet = formatNone, true
	err := silent.watchJob(ctx, c, id)
	var told ended
	code := exitOK
	switch {
	case errors.As(err, &told):
		code = int(told)
	case err != nil:
		code = exitCode(err)
	}
	if ctx.Err() != nil {
		return code, wire.Job{}, err
	}
	j, lost := c.Job(ctx, id)
	if lost != nil {
		return code, j, lost
	}
	if err != nil && code == exitCode(err) && !errors.As(err, &told) {
		if !j.State.Ended() { // the waiting failed, not the job
			return code, j, err
		}
		a.fail(err)
	}
	return code, j, nil
}

func (a *app) printWaited(all []wire.Job) error {
	return a.print(answer{
		json: func() error {
			if len(all) == 1 {
				return a.printJSON(all[0])
			}
			return a.printJSON(map[string][]wire.Job{"jobs": all})
		},
		text: func() error {
			for _, j := range all {
				if _, err := fmt.Fprintln(a.out, j.ID, j.State); err != nil {
					return err
				}
			}
			return nil
		},
		header: []string{"ID", "STATE"},
		rows: func(row func(...string) error) error {
			for _, j := range all {
				if err := row(j.ID, string(j.State)); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
