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

// PutSchedule creates a schedule that p owns if id is "", and else changes the schedule with that ID.
// To change one, p needs at least the role with which it was created; the schedule keeps its owner.
//
// The rules must allow the request to the owner now, and again each time that the schedule is due. The
// request must not contain logins; its jobs use those of the server. It must be neither an apply nor an
// uploaded plan. Errors are those of Prepare, NotFound, Denied and Invalid, and those of the queue.
func (s *Service) PutSchedule(
	ctx context.Context, p access.Principal, id string, in wire.ScheduleRequest,
) (job.Schedule, error) {
	if err := wire.CheckScheduleName(in.Name); err != nil {
		return job.Schedule{}, invalid("put schedule", in.Name, err.Error(), "choose such a name")
	}
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
		if old.Principal != p.Name { // The owner keeps the schedule, so the owner's rights count.
			owner = access.Principal{Name: old.Principal, Role: was.Role, Via: was.Via}
		}
	}
	r := in.Request
	if r.Kind == wire.KindApply || r.Kind == wire.KindPlan && r.Plan != nil && r.Plan.Uploaded {
		return job.Schedule{}, invalid("put schedule", in.Name,
			"a plan cannot be applied by a schedule", "schedule the verb itself")
	}
	sub, err := s.Prepare(ctx, owner, r)
	if err != nil {
		return job.Schedule{}, err
	}
	if sub.Secret != nil {
		return job.Schedule{}, invalid("put schedule", in.Name,
			"a schedule cannot contain logins", "store a secret for the registry instead")
	}
	put := job.Schedule{
		ID: id, Name: in.Name, Principal: owner.Name, Cron: in.Cron, Zone: in.Zone, Paused: in.Paused,
		Kind: r.Kind, Request: sub.Request, Source: sub.Source, Target: sub.Target, Pool: sub.Pool,
	}
	return s.queue.PutSchedule(ctx, put, func(tx *sql.Tx, made job.Schedule) error {
		return s.access.Audit(ctx, tx, access.Entry{
			Principal: p.Name, Verb: "schedule put", Source: made.Source, Target: made.Target, New: made.ID,
		})
	})
}

// Schedules returns the schedules that p may see: its own, or all of them if p is an admin.
func (s *Service) Schedules(ctx context.Context, p access.Principal) ([]job.Schedule, error) {
	name := p.Name
	if p.Admin() {
		name = ""
	} else if name == "" {
		return nil, nil
	}
	return s.queue.Schedules(ctx, name)
}

// Schedule returns the schedule with the given ID. If p may not see it, the error is NotFound.
func (s *Service) Schedule(ctx context.Context, p access.Principal, id string) (job.Schedule, error) {
	got, err := s.queue.Schedule(ctx, id)
	if err == nil && !p.Admin() && (p.Name == "" || got.Principal != p.Name) {
		return job.Schedule{}, &fault.Fault{Kind: fault.NotFound, Op: "get schedule", Name: id}
	}
	return got, err
}

// DeleteSchedule deletes a schedule that p may see. Its jobs stay. Like PauseSchedule and
// ResumeSchedule, it needs at least the role with which the schedule was created.
func (s *Service) DeleteSchedule(ctx context.Context, p access.Principal, id string) error {
	return s.changeSchedule(ctx, p, id, "schedule delete", s.queue.DeleteSchedule)
}

// PauseSchedule stops a schedule from creating jobs until it is resumed.
func (s *Service) PauseSchedule(ctx context.Context, p access.Principal, id string) error {
	return s.changeSchedule(ctx, p, id, "schedule pause", s.queue.PauseSchedule)
}

// ResumeSchedule resumes a paused schedule. What was due in the meantime is skipped.
func (s *Service) ResumeSchedule(ctx context.Context, p access.Principal, id string) error {
	return s.changeSchedule(ctx, p, id, "schedule resume", s.queue.ResumeSchedule)
}

func (s *Service) changeSchedule(
	ctx context.Context, p access.Principal, id, verb string,
	change func(ctx context.Context, id string, also func(*sql.Tx) error) error,
) error {
	got, err := s.Schedule(ctx, p, id)
	if err != nil {
		return err
	}
	if _, err := readRow(p, got.Request); err != nil {
		return err
	}
	return change(ctx, id, func(tx *sql.Tx) error {
		return s.access.Audit(ctx, tx, access.Entry{
			Principal: p.Name, Verb: verb, Source: got.Source, Target: got.Target, Old: id,
		})
	})
}

// RunSchedule creates the schedule's job now. The rules must allow the request to p too.
func (s *Service) RunSchedule(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	got, err := s.Schedule(ctx, p, id)
	if err != nil {
		return job.Job{}, err
	}
	r, err := readRow(p, got.Request)
	if err != nil {
		return job.Job{}, err
	}
	as := r
	as.Words = s.words
	if _, err := s.reading(as).allow(ctx, p, r.Request, time.Now()); err != nil {
		return job.Job{}, err
	}
	return s.queue.RunSchedule(ctx, id, func(tx *sql.Tx, j job.Job) error {
		// The job belongs to the owner of the schedule, even if an admin runs it.
		return s.access.Audit(ctx, tx, access.Entry{
			Principal: p.Name, Verb: "schedule run", Source: j.Source, Target: j.Target, Old: id, New: j.ID,
		})
	})
}
