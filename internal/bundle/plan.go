package bundle

import (
	"context"
	"os"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/admit"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// Plan finds out what a bundle would have, and how large its files would be. It reads all manifests, into a temporary
// directory that it removes, and no layer. visit is called with what each repository of the bundle would get.
func Plan(
	ctx context.Context, b *place.Base, names *name.Reader, req CreateRequest, obs event.Observer,
	visit func(plan.Repository) error,
) (report.Transfer, error) {
	to := outputOf(req.To)
	if err := to.check(req.Split); err != nil {
		return report.Transfer{}, err
	}
	dir, err := os.MkdirTemp("", "dray-plan-*")
	if err != nil {
		return report.Transfer{}, stageFault("plan bundle", os.TempDir(), err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in the directory for what may be removed
	s, has, err := req.stage(dir)
	if err != nil {
		return report.Transfer{}, err
	}
	defer func() { _ = s.close() }() // as above
	s.counted = map[oci.Digest]bool{}
	sum, contents, err := req.gathered(ctx, into(b, s), names, s, has, obs, func(r report.Repository) error {
		return visit(intended(r))
	})
	sum.Referrers.Planned, sum.Referrers.Copied = sum.Referrers.Copied, 0
	sum.States, sum.Blobs = nil, report.Transfer{}.Blobs
	if err == nil {
		sum.Bundle, err = weigh(to, contents, req.Split)
	}
	return sum, err
}

// intended returns the plan of which r is the outcome.
func intended(r report.Repository) plan.Repository {
	p := plan.Repository{To: r.To, From: r.From}
	for _, s := range r.Steps {
		if s.Err != nil && s.Problem == nil {
			s.Action, s.Problem = plan.Broken, plan.ProblemOf(s.Err)
		}
		p.Steps = append(p.Steps, s.Step)
	}
	return p
}

// weigh says how large the files of a bundle would be.
func weigh(to output, c *volume.Contents, split int64) (*report.Bundle, error) {
	if err := volume.Divide(c, split); err != nil {
		return nil, fault.On(fault.Target, err)
	}
	a, err := volume.Arrange(*c)
	if err != nil {
		return nil, err
	}
	rep := reportOn(a)
	for n := range c.Volumes {
		v := report.Volume{File: to.volume(n+1, split), Number: n + 1}
		if v.Bytes, err = a.Size(n + 1); err != nil {
			return nil, err
		}
		rep.Volumes = append(rep.Volumes, v)
	}
	return rep, nil
}

// PlanLoad verifies a bundle as Load does, and calls visit with what Load would do in each repository. It writes
// nothing.
func PlanLoad(
	ctx context.Context, b *place.Base, names *name.Reader, req LoadRequest, obs event.Observer,
	visit func(plan.Repository) error,
) (report.Transfer, error) {
	l, err := open(ctx, b, names, req, obs)
	if err != nil {
		return l.sum, err
	}
	defer l.set.Close()
	s := l.base.Begin(nil, l.TargetLogin, l.obs)
	defer s.Release()
	complete, waiting, err := l.divide(ctx, s)
	if err == nil {
		err = l.rightReceiver(ctx, s)
	}
	if err != nil {
		return l.sum, err
	}
	l.awaits(waiting)
	at := l.reading(l.shelf(ctx, s, complete)).Begin(nil, l.TargetLogin, l.obs)
	defer at.Release()
	at.GatedBy(l.Gate)
	draft, err := l.draft(complete)(ctx, at, l.names)
	if err == nil {
		err = admit.Steps(ctx, at, verbLoad, draft.Steps)
	}
	if err != nil {
		return l.sum, err
	}
	referrers.Fill(ctx, at, draft.Plan)
	rep := report.Report{Verb: verbLoad, Notes: draft.Notes}
	for _, s := range draft.Steps {
		rep.Steps = append(rep.Steps, report.Step{Step: s, State: stateOf(s)})
	}
	planned := withoutReferrers(&rep, complete).Copied
	for _, s := range rep.Steps {
		planned += s.Brings()
	}
	bundle := l.sum.Bundle
	l.sum = totals(rep)
	l.sum.States, l.sum.Bundle, l.sum.Referrers.Planned = nil, bundle, planned
	l.exchanged(s.Traffic.Exchanged())
	l.exchanged(at.Traffic.Exchanged())
	for _, part := range byRepository(rep.Steps) {
		if err := visit(plan.Repository{To: part.To, From: part.From, Steps: stepsOf(part)}); err != nil {
			return l.sum, err
		}
	}
	return l.sum, nil
}

// stateOf returns the state that a step would have.
func stateOf(s plan.Step) report.State {
	switch {
	case s.Works():
		return report.Done
	case s.Keeps == plan.KeepsOther:
		return report.NotStarted // it is shown
	case s.Action == plan.Skip:
		return report.Unchanged
	}
	return report.Failed
}

func stepsOf(r report.Repository) (steps []plan.Step) {
	for _, s := range r.Steps {
		steps = append(steps, s.Step)
	}
	return slices.Clip(steps)
}
