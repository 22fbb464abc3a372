package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// place is where verbs are carried out: this process (here), or a server (there). What is printed
// is made of what a place returns, and does not depend on which it is.
type place interface {
	// plan makes the plan of w and writes nothing.
	plan(ctx context.Context, w writing, s *story) (plan.Plan, error)
	// write carries w out. Where no plan could be made it is nil, and err says why.
	write(ctx context.Context, w writing, s *story) (p *plan.Plan, r dray.Report, err error)
	// planEach and runEach are the same for verbs that go repository by repository.
	planEach(ctx context.Context, w streaming, s *story, visit func(dray.RepositoryPlan) error) (dray.TransferReport, error)
	runEach(ctx context.Context, w streaming, s *story, visit func(dray.RepositoryReport) error) (dray.TransferReport, error)
	verify(ctx context.Context, w verifying, s *story, visit func(dray.VerifyEntry) error) (dray.Receipt, error)

	names() *dray.Dray // reads names by this machine's configuration; it asks no registry
	close()
}

// ask is a verb as a server takes it. What needs one, such as to send a file first, may ask c.
type ask func(ctx context.Context, c *client.Client, d *dray.Dray) (wire.Request, error)

// place finds where a verb is carried out. At a server it is submitted here; where nobody waits
// for it all is told then, which is the error.
func (a *app) place(cmd *cobra.Command, what ask, dryRun bool) (place, error) {
	ctx := cmd.Context()
	d, err := a.open()
	if err != nil {
		return nil, err
	}
	c, err := a.client(ctx)
	if err == nil && c == nil {
		if a.common.noWait && !a.quiet {
			a.warn("--no-wait: there is no server to hand this to; it runs here and the exit code tells how it ended")
		}
		return here{d}, nil
	}
	if err == nil {
		err = a.refuseOurs(cmd)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	t := &there{client: c, local: d}
	if a.common.noWait && !cmd.Flags().Changed("output") {
		a.format = formatText // also of a command whose answer would be a plan
	}
	if err := a.handOver(ctx, t, what, dryRun); err != nil {
		t.close()
		if ctx.Err() != nil && !fault.Is(err, fault.Invalid) {
			a.warn("interrupted: it is not known whether the server has it; dray jobs list tells")
			return nil, ended(exitInterrupted)
		}
		return nil, reach(err)
	}
	return t, nil
}

func (a *app) handOver(ctx context.Context, t *there, what ask, dryRun bool) error {
	r, err := what(ctx, t.client, t.local)
	if err != nil {
		return err
	}
	if dryRun {
		r = wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Import: r.Import, Copy: r.Copy, Tag: r.Tag, Batch: r.Batch, Transfer: r.Transfer}}
	}
	// Once it is on its way its id is waited for: a job that nobody knows of can not be stopped.
	whole := context.WithoutCancel(ctx)
	if t.job, err = patiently(ctx, grace, func() (wire.Job, error) { return t.client.Submit(whole, r, client.How{}) }); err != nil {
		return err
	}
	if !a.common.noWait {
		return nil
	}
	if err := a.printJobID(t.job); err != nil {
		return err
	}
	return ended(exitOK)
}

// refuseOurs refuses flags about how this machine speaks to registries: a server does so in its
// own way, and would do something else than what was asked for.
func (a *app) refuseOurs(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		in := f.Annotations[groupKey]
		ours := len(in) == 1 && in[0] == registryFlags && f.Name != "src-creds" && f.Name != "dst-creds"
		if err == nil && (ours || f.Name == "parallel-imports") {
			err = usageError(cmd, fmt.Errorf("--%s is about this machine, and a server does the work", f.Name), "the server's configuration says how it speaks to registries")
		}
	})
	return err
}

// here carries verbs out in this process.
type here struct{ *dray.Dray }

func (h here) names() *dray.Dray { return h.Dray }
func (h here) close()            { h.Close() }

func (h here) plan(ctx context.Context, w writing, s *story) (plan.Plan, error) {
	p, err := h.planned(ctx, w, s)
	if err != nil {
		return plan.Plan{}, err
	}
	return p.Plan, nil
}

func (h here) planned(ctx context.Context, w writing, s *story) (*dray.Plan, error) {
	p, err := patiently(ctx, grace, func() (*dray.Plan, error) { return w.plan(ctx, h.Dray, s.observe) })
	if err != nil {
		return nil, err
	}
	p.Notes = append(p.Notes, w.notes(p.Steps)...)
	for _, note := range p.Notes {
		s.note(note)
	}
	return p, nil
}

func (h here) write(ctx context.Context, w writing, s *story) (*plan.Plan, dray.Report, error) {
	p, err := h.planned(ctx, w, s)
	if err != nil {
		return nil, dray.Report{}, err
	}
	s.steps(len(p.Steps))
	r, err := patiently(ctx, grace, func() (dray.Report, error) { return h.Apply(ctx, p, s.observe) })
	if errors.Is(err, errLate) {
		r = s.report(p.Plan)
	}
	return &p.Plan, r, err
}

func (h here) planEach(ctx context.Context, w streaming, s *story, visit func(dray.RepositoryPlan) error) (dray.TransferReport, error) {
	return patiently(ctx, grace, func() (dray.TransferReport, error) { return w.plan(ctx, h.Dray, s.observe, s, visit) })
}

func (h here) runEach(ctx context.Context, w streaming, s *story, visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
	return patiently(ctx, grace, func() (dray.TransferReport, error) { return w.run(ctx, h.Dray, s.observe, s, visit) })
}

func (h here) verify(ctx context.Context, w verifying, s *story, visit func(dray.VerifyEntry) error) (dray.Receipt, error) {
	return patiently(ctx, grace, func() (dray.Receipt, error) { return w.run(ctx, h.Dray, s.observe, s, visit) })
}
