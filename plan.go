package dray

import (
	"context"
	"io"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/admit"
	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/estimate"
	"github.com/drayage/dray/internal/migrate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Prepared is a plan that is ready for [Dray.Apply]. It contains a [plan.Plan], which can be printed,
// and written to a file with its Write method.
//
// A Prepared from a method such as [Dray.PlanCopy] also holds what that method learned about both
// registries. A file does not contain this. A plan from [ReadPlan] is therefore first compared with
// both registries again when it is applied.
type Prepared struct {
	plan.Plan
	SourceLogin *credential.Login // nil means Config.Logins; never written to a file
	TargetLogin *credential.Login // nil means Config.Logins; never written to a file
	Proof       Proof             // "" means Sized for steps with plan.Always, else Claimed; never written to a file
	Gate        gate.Gate         // decides about the images of a plan from a file; never written to a file
	session     *place.Session    // nil for a plan from a file
}

// opening is what a plan gives to its session.
type opening struct {
	source, target *credential.Login
	gate           gate.Gate
	of             string // see BatchRequest.Of

	// names returns the names of a request for one image; nil means that it is one for many.
	names func(*name.Reader) (source ref.Name, targets []ref.Name, err error)
}

// unseen plans the steps of an image that cannot be seen from here because of err, and that Azure may import. If
// nobody accepts that, it returns an error.
func (d *Dray) unseen(p *survey.Draft, o opening, names *name.Reader, err error) error {
	if o.names == nil || p == nil || !apply.IsUnseen(err) {
		return err
	}
	source, targets, wrong := o.names(names)
	if wrong != nil || source.Tag == "" || len(targets) == 0 {
		return err
	}
	for _, to := range targets {
		switch via := d.base.ViaTo(to.Host); {
		case via == ViaDray, !d.base.AcceptUnseen && via == ViaAuto:
			return err
		case !d.base.AcceptUnseen:
			return apply.Unaccepted(p.Verb, source, err)
		}
		p.Steps = append(p.Steps, plan.Step{Action: plan.Broken, From: source, To: to, Problem: plan.ProblemOf(err)})
	}
	p.Notes = append(p.Notes, "dray cannot see "+source.String()+"; Azure is asked to import it by its tag")
	return nil
}

// plan makes a plan in a new session, and asks the gates about it.
func (d *Dray) plan(
	ctx context.Context, o opening, obs event.Observer,
	draft func(*place.Session, *name.Reader) (*survey.Draft, error),
) (*Prepared, error) {
	s := d.base.Begin(o.source, o.target, obs)
	s.GatedBy(o.gate)
	s.Join(o.of)
	defer s.Release()
	var notes []string
	p, err := draft(s, d.names.Noting(func(e event.Event) { notes = append(notes, e.Text) }))
	if err != nil {
		err = d.unseen(p, o, d.names, err)
	}
	if err == nil {
		err = admit.Steps(ctx, s, p.Verb, p.Steps)
	}
	if err != nil {
		for _, text := range notes {
			obs.Tell(event.Event{Kind: event.Noted, Text: text})
		}
		return nil, err
	}
	p.Notes = append(notes, p.Notes...)
	return &Prepared{Plan: p.Plan, SourceLogin: o.source, TargetLogin: o.target, session: s}, nil
}

// FindReferrers adds to the steps of p what travels with their images: signatures, SBOMs and other referrers.
// It is for plans that are shown: [Dray.Apply] finds what travels by itself, and each of these would cost
// the same requests. A step whose source cannot say what refers to its image becomes [plan.Broken].
// FindReferrers does nothing for a plan from [ReadPlan].
func (d *Dray) FindReferrers(ctx context.Context, p *Prepared) error {
	if p.session == nil {
		return nil
	}
	defer p.session.Release()
	referrers.Fill(ctx, p.session, p.Plan)
	return context.Cause(ctx)
}

// ReadPlan reads a plan that the Write method of a [plan.Plan] wrote. The error is [fault.Invalid] and
// names the line.
func ReadPlan(r io.Reader) (*Prepared, error) {
	p, err := plan.Read(r)
	if err != nil {
		return nil, err
	}
	return &Prepared{Plan: p}, nil
}

// Traffic returns what was exchanged with registries to make p, by host. It is nil for a plan from
// [ReadPlan].
func (p *Prepared) Traffic() map[string]Traffic {
	if p.session == nil {
		return nil
	}
	return p.session.Traffic.Exchanged()
}

// Apply carries out p. The report has one entry for each step, in the plan's order, also if Apply
// fails. The error is that of the first step that failed, or nil if all steps ended as planned.
//
//   - If p was read from a file and a name has changed since the plan was made, nothing is written and
//     the error is [fault.Moved].
//   - If p.Hold is [plan.All] and a step is a conflict or broken, nothing is written. Otherwise all
//     content is copied before the first name is set.
//   - If p.Hold is [plan.Each], steps are independent of each other: if one fails, the others continue.
//
// Tags that people move from release to release, such as "latest", are set after the others. A Prepared
// can be applied again. Content that the target has by then is not sent again.
func (d *Dray) Apply(ctx context.Context, p *Prepared, obs event.Observer) (Report, error) {
	return apply.Plan(ctx, d.base, apply.Work{
		Plan:        &p.Plan,
		Proof:       p.Proof,
		Session:     p.session,
		Gate:        p.Gate,
		SourceLogin: p.SourceLogin,
		TargetLogin: p.TargetLogin,
	}, obs)
}

// PlanFileRequest asks to carry out a plan from a file.
type PlanFileRequest struct {
	Plan *plan.Reader

	// Follow makes a new plan for each step whose source or target has changed since the plan was
	// made. Without Follow such a step fails with [fault.Moved].
	Follow bool

	SourceLogin *credential.Login // nil means Config.Logins
	TargetLogin *credential.Login // nil means Config.Logins

	// Gate decides which images may move, after Config.Gate; nil admits all.
	Gate gate.Gate
}

// ApplyFile carries out a plan while it reads it, so that the plan can be larger than memory.
//
// Before each step it looks at both ends again. If the plan's hold is [plan.Each], a step whose source
// or target has changed fails with [fault.Moved], and the others continue. If it is [plan.All], nothing
// is written if one name has changed.
//
// ApplyFile calls visit with the steps of a target repository when they have ended, one call at a time.
// A repository can come more than once. If visit returns an error, ApplyFile stops. Steps that Follow
// planned again are reported as they were planned then.
//
// The error is that of the first step that failed, or nil if all steps ended as planned.
func (d *Dray) ApplyFile(
	ctx context.Context, req PlanFileRequest, obs event.Observer, visit func(RepositoryReport) error,
) (TransferReport, error) {
	return migrate.Apply(ctx, d.base, d.names, migrate.FileRequest(req), obs, visit)
}

// EstimateRequest asks what a plan would cost.
type EstimateRequest struct {
	Plan *plan.Reader
	Rate int64 // network speed in bytes per second; 0 means DefaultRate

	SourceLogin *credential.Login // nil means Config.Logins
	TargetLogin *credential.Login // nil means Config.Logins
}

// Estimate returns the bytes, requests and time that a plan would take. It reads the manifests of the
// images that the plan copies and asks the targets which blobs they have. It writes nothing. At Docker
// Hub, each manifest that it reads counts as a pull.
//
// The numbers are those of [Dray.ApplyFile] if no request has to be repeated. They include the requests
// with which ApplyFile looks at the names again. A manifest that several images contain is read and
// counted once. Memory use grows with the number of distinct manifests and blobs.
//
// Estimate.Unknown names what could not be read. The error is [fault.Invalid] for a plan that cannot be
// read, or [fault.Canceled].
func (d *Dray) Estimate(ctx context.Context, req EstimateRequest, obs event.Observer) (Estimate, error) {
	return estimate.Plan(ctx, d.base, estimate.Request(req), obs)
}
