package verb

import (
	"context"
	"database/sql"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// PutSchedule makes a schedule in p's name, or with an id changes that one, which takes the role
// that it was made with. Its request has to be allowed to its owner now, and again at each firing.
// It brings no logins: those of the server are shown.
func (s *Service) PutSchedule(ctx context.Context, p access.Principal, id string, in wire.ScheduleRequest) (job.Schedule, error) {
	owner := p
	if id != "" {
		old, err := s.Schedule(ctx, p, id)
		if err != nil {
			return job.Schedule{}, err
		}
		was, err := readRow(p, old.Request)
		if err != nil {
			return job.Schedule{}, err
		}
		if old.Principal != p.Name { // it stays its owner's, with the owner's rights
			owner = access.Principal{Name: old.Principal, Role: was.Role, Via: was.Via}
		}
	}
	r := in.Request
	if r.Kind == wire.KindApply || r.Kind == wire.KindPlan && r.Plan != nil && r.Plan.Uploaded {
		return job.Schedule{}, invalid("put schedule", in.Name, "a plan is carried out once", "schedule the verb itself")
	}
	sub, err := s.Prepare(ctx, owner, r)
	if err != nil {
		return job.Schedule{}, err
	}
	if sub.Secret != nil {
		return job.Schedule{}, invalid("put schedule", in.Name, "a schedule keeps no logins", "store a secret for the registry instead")
	}
	return s.queue.PutSchedule(ctx, job.Schedule{ID: id, Name: in.Name, Kind: r.Kind, Principal: owner.Name, Cron: in.Cron, Zone: in.Zone, Request: sub.Request,
		Source: sub.Source, Target: sub.Target, Paused: in.Paused}, func(tx *sql.Tx, made job.Schedule) error {
		return s.access.Audit(tx, access.Entry{Principal: p.Name, Verb: "schedule put", Source: made.Source, Target: made.Target, New: made.ID})
	})
}

// Schedules are those that p may see: its own, and all of them an admin.
func (s *Service) Schedules(ctx context.Context, p access.Principal) ([]job.Schedule, error) {
	name := p.Name
	if p.Admin() {
		name = ""
	} else if name == "" {
		return nil, nil
	}
	return s.queue.Schedules(ctx, name)
}

// Schedule returns one that p may see; any other is NotFound.
func (s *Service) Schedule(ctx context.Context, p access.Principal, id string) (job.Schedule, error) {
	got, err := s.queue.Schedule(ctx, id)
	if err == nil && !p.Admin() && (p.Name == "" || got.Principal != p.Name) {
		return job.Schedule{}, &fault.Fault{Kind: fault.NotFound, Op: "get schedule", Name: id}
	}
	return got, err
}

// DeleteSchedule forgets a schedule of those that p may see. Its jobs stay.
func (s *Service) DeleteSchedule(ctx context.Context, p access.Principal, id string) error {
	return s.changeSchedule(ctx, p, id, "schedule delete", s.queue.DeleteSchedule)
}

// PauseSchedule keeps it from firing.
func (s *Service) PauseSchedule(ctx context.Context, p access.Principal, id string) error {
	return s.changeSchedule(ctx, p, id, "schedule pause", s.queue.PauseSchedule)
}

// ResumeSchedule lets it fire again, from now on.
func (s *Service) ResumeSchedule(ctx context.Context, p access.Principal, id string) error {
	return s.changeSchedule(ctx, p, id, "schedule resume", s.queue.ResumeSchedule)
}

func (s *Service) changeSchedule(ctx context.Context, p access.Principal, id, verb string, change func(context.Context, string, func(*sql.Tx) error) error) error {
	got, err := s.Schedule(ctx, p, id)
	if err != nil {
		return err
	}
	if _, err := readRow(p, got.Request); err != nil {
		return err
	}
	return change(ctx, id, func(tx *sql.Tx) error {
		return s.access.Audit(tx, access.Entry{Principal: p.Name, Verb: verb, Source: got.Source, Target: got.Target, Old: id})
	})
}

// RunSchedule makes the schedule's job now. The request has to be allowed to p too.
func (s *Service) RunSchedule(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	got, err := s.Schedule(ctx, p, id)
	if err != nil {
		return job.Job{}, err
	}
	r, err := readRow(p, got.Request)
	if err != nil {
		return job.Job{}, err
	}
	if err := s.allow(ctx, p, r.Request, time.Now()); err != nil {
		return job.Job{}, err
	}
	return s.queue.RunSchedule(ctx, id, func(tx *sql.Tx, j job.Job) error {
		// It is its owner's job, also when an admin runs it.
		return s.access.Audit(tx, access.Entry{Principal: p.Name, Verb: "schedule run", Source: j.Source, Target: j.Target, Old: id, New: j.ID})
	})
}
