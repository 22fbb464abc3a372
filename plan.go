package dray

import (
	"context"
	"io"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/migrate"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
)

// Prepared is what Apply carries out. It is a plan.Plan, which prints, is written
// with Write and read with ReadPlan, together with what was learned while it was
// made, which is not written: a plan that was read back is first held against
// both registries again.
type Prepared struct {
	plan.Plan
	SourceLogin *credential.Login // nil asks Config.Logins; never written
	TargetLogin *credential.Login
	Proof       Proof          // "" is Sized for what plan.Always puts again, else Claimed; never written
	session     *place.Session // nil for a plan from a file
}

// plan makes a plan in a session of its own.
func (d *Dray) plan(source, target *credential.Login, obs event.Observer, draft func(*place.Session) (*survey.Draft, error)) (*Prepared, error) {
	s := d.base.Begin(source, target, obs)
	defer s.Release()
	p, err := draft(s)
	if p == nil {
		return nil, err
	}
	return &Prepared{Plan: p.Plan, SourceLogin: source, TargetLogin: target, session: s}, err
}

// ReadPlan reads a plan that Plan.Write wrote. The error is Invalid and names the line.
func ReadPlan(r io.Reader) (*Prepared, error) {
	p, err := plan.Read(r)
	if err != nil {
		return nil, err
	}
	return &Prepared{Plan: p}, nil
}

// Traffic is what was exchanged with registries to make p, by host; nil of a plan that was read.
func (p *Prepared) Traffic() map[string]Traffic {
	if p.session == nil {
		return nil
	}
	return p.session.Traffic.Exchanged()
}

// Apply carries out p. The Report has one entry for each step, in the plan's
// order, whatever happens; the error is nil when all ended as planned.
//
// Where p was read from a file and a name points elsewhere by now (Moved), nothing
// is touched at all; nor where p.Hold is plan.All and a step is a conflict or
// broken. With plan.All no name is set before all content has arrived. With
// plan.Each steps are independent: one that fails does not stop the rest. Names
// that people move from release to release ("latest") are set after the others.
// What is Prepared may be applied again; what is there by then is not sent twice.
func (d *Dray) Apply(ctx context.Context, p *Prepared, obs event.Observer) (Report, error) {
	return apply.Plan(ctx, d.base, apply.Work{Plan: &p.Plan, Proof: p.Proof, Session: p.session, SourceLogin: p.SourceLogin, TargetLogin: p.TargetLogin}, obs)
}

// PlanFileRequest asks that a plan that was written is carried out.
type PlanFileRequest struct {
	Plan *plan.Reader

	// Follow plans steps anew whose source or target moved since the plan was made.
	// Without it such a step is not done: it is Moved.
	Follow bool

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// ApplyFile carries out a plan while it is read, so that it may be longer than memory.
// Before a step is done both its ends are looked at again. With plan.Each a step that is
// Moved fails alone; with plan.All nothing is touched where one is. visit is called with
// the steps of each target repository when they ended, one call at a time, until it
// returns an error; the same repository may come more than once. What Follow plans anew
// is reported as it was planned then.
//
// The error is nil when every step ended as planned, else that of the first that failed.
func (d *Dray) ApplyFile(ctx context.Context, req PlanFileRequest, obs event.Observer, visit func(RepositoryReport) error) (TransferReport, error) {
	return migrate.Apply(ctx, d.base, d.names, migrate.FileRequest(req), obs, visit)
}

// EstimateRequest asks what a plan would cost.
type EstimateRequest struct {
	Plan *plan.Reader
	Rate int64 // bytes per second that the link carries; 0 is DefaultRate

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// Estimate reads the manifests of what a plan moves and asks its targets which blobs they
// have. Nothing is written. Where the source is Docker Hub each manifest is a pull. The
// figures are those of ApplyFile, its second look at the names counted, when nothing has to be
// tried again; memory grows with the number of distinct blobs. What can't be looked at is in Unknown; the error is of a
// plan that can't be read, or Canceled.
func (d *Dray) Estimate(ctx context.Context, req EstimateRequest, obs event.Observer) (Estimate, error) {
	return migrate.Estimate(ctx, d.base, migrate.EstimateRequest(req), obs)
}
