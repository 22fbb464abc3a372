package apply

import (
	"context"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Work is a plan to apply, with the settings of its application.
type Work struct {
	Plan  *plan.Plan
	Proof oci.Proof // how much evidence is required that a target has a blob

	// Gate decides about the images of a plan without a session, after the gate of the Base; nil admits all.
	Gate gate.Gate

	// Session is the session in which the plan was made. It is nil for a plan from a file, which is
	// checked against both sides first.
	Session *place.Session

	// The logins of a plan without a session. nil uses the chain of credential sources.
	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

// Plan applies w. The report has one entry for each step, in the order of the plan.
func Plan(ctx context.Context, b *place.Base, w Work, obs event.Observer) (report.Report, error) {
	start := time.Now()
	r := NewRun(b, w.Session, w.Plan, w.Proof)
	stop := r.prepare(ctx, b, w, obs)
	r.session.Applying.Store(true)
	defer r.session.Applying.Store(false)
	defer r.session.Release()
	if stop == nil {
		r.Work(ctx, b.InFlight())
		r.Lock(ctx)
		stop = ctx.Err()
	}
	r.unstage(ctx)
	r.commit(ctx)
	r.session.Shared.Keep()
	rep := report.Report{
		Verb:    w.Plan.Verb,
		Steps:   r.Reports,
		Notes:   w.Plan.Notes,
		LeftOut: w.Plan.LeftOut,
		Traffic: r.session.Traffic.Exchanged(),
		Pulls:   r.session.Traffic.Pulls(r.session.Base),
		Took:    time.Since(start),
	}
	switch err := rep.Err(); {
	case err != nil:
		return rep, err
	case stop != nil && ctx.Err() != nil:
		return rep, &fault.Fault{Kind: fault.Canceled, Op: w.Plan.Verb, Err: context.Cause(ctx)}
	case stop != nil:
		return rep, stop
	}
	return rep, r.FirstErr()
}

// prepare checks the plan before anything is changed. Its error is the reason why nothing may be
// applied.
func (r *Run) prepare(ctx context.Context, b *place.Base, w Work, obs event.Observer) error {
	if r.session == nil {
		r.session = b.Begin(w.SourceLogin, w.TargetLogin, obs)
		r.session.GatedBy(w.Gate)
		for _, s := range r.Plan.Steps {
			r.session.Aim(s.From.Repo, s.To.Repo)
		}
		if err := r.checkSteps(ctx); err != nil {
			return err
		}
		if err := r.FirstErr(); err != nil {
			return err
		}
	}
	r.session.WatchedBy(obs)
	if err := r.Admit(ctx); err != nil {
		return err
	}
	for i, s := range r.Plan.Steps {
		r.Settled(i, s)
	}
	if r.Plan.Hold == plan.All {
		return r.FirstErr()
	}
	return nil
}

// checkSteps checks a plan from a file against both sides. If a name points to another digest than
// the plan expects, its step fails with Moved.
func (r *Run) checkSteps(ctx context.Context) error {
	return place.Each(ctx, place.Lookups, place.IndexesOf(r.Plan.Steps), func(ctx context.Context, i int) error {
		err := checkStep(ctx, r.session, r.Plan.Verb, r.Plan.Steps[i])
		if fault.Is(err, fault.Moved) {
			r.End(i, report.Failed, err)
			return nil
		}
		return err
	})
}

func checkStep(ctx context.Context, s *place.Session, verb string, step plan.Step) error {
	if step.From.Tag != "" {
		inv, err := survey.Source(ctx, s, ref.Name{Repo: step.From.Repo, Tag: step.From.Tag})
		if err != nil {
			return err
		}
		for _, now := range inv {
			if now.Digest != step.Origin() {
				return survey.Moved(fault.Source, step.From, string(step.Origin()), string(now.Digest))
			}
		}
	}
	if verb == "tag" {
		return nil // a plan of tag does not look at its target either
	}
	now, err := survey.Target(ctx, s, step.To, step.Digest())
	if err != nil {
		return err
	}
	if now.Digest != step.Replaces && now.Digest != step.Digest() {
		return survey.Moved(fault.Target, step.To, string(step.Replaces), string(now.Digest))
	}
	return survey.BackupFree(ctx, s, step)
}
