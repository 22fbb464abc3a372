package api

import (
	"context"
	"net/http"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
)

// scheduling is a request that creates a schedule.
type scheduling struct {
	Body wire.ScheduleRequest
}

// rescheduling is a request that replaces a schedule.
type rescheduling struct {
	ByID
	Body wire.ScheduleRequest
}

// schedules registers the operations on schedules.
func (a *api) schedules() {
	op := func(id, method, path, text string, role access.Role, status int) operation {
		return operation{id: id, method: method, path: path, role: role, status: status, text: text, tag: "schedules"}
	}
	handle(a, op("list-schedules", http.MethodGet, "/schedules", "List the caller's schedules; an admin sees all schedules", access.Reader, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[wire.Schedules], error) {
		all, err := a.Verb.Schedules(ctx, caller(ctx))
		return &body[wire.Schedules]{wire.Schedules{Schedules: append([]wire.Schedule{}, all...)}}, err
	})
	handle(a, op("make-schedule", http.MethodPost, "/schedules", "Create a schedule, which submits a request repeatedly", access.Submitter, http.StatusCreated), func(ctx context.Context, in *scheduling) (*created[wire.Schedule], error) {
		s, err := a.Verb.PutSchedule(ctx, caller(ctx), "", in.Body)
		return &created[wire.Schedule]{wire.Prefix + "/schedules/" + s.ID, s}, err
	})
	handle(a, op("get-schedule", http.MethodGet, "/schedules/{id}", "Get a schedule and the result of its last job", access.Reader, http.StatusOK), a.schedule)
	handle(a, op("change-schedule", http.MethodPut, "/schedules/{id}", "Change a schedule", access.Submitter, http.StatusOK), func(ctx context.Context, in *rescheduling) (*body[wire.Schedule], error) {
		s, err := a.Verb.PutSchedule(ctx, caller(ctx), in.ID, in.Body)
		return &body[wire.Schedule]{s}, err
	})
	handle(a, op("delete-schedule", http.MethodDelete, "/schedules/{id}", "Delete a schedule; its jobs are kept", access.Submitter, http.StatusNoContent), func(ctx context.Context, in *ByID) (*noContent, error) {
		return &noContent{}, a.Verb.DeleteSchedule(ctx, caller(ctx), in.ID)
	})
	handle(a, op("pause-schedule", http.MethodPost, "/schedules/{id}/pause", "Pause a schedule; it submits no jobs until it is resumed", access.Submitter, http.StatusOK), func(ctx context.Context, in *ByID) (*body[wire.Schedule], error) {
		if err := a.Verb.PauseSchedule(ctx, caller(ctx), in.ID); err != nil {
			return nil, err
		}
		return a.schedule(ctx, in)
	})
	handle(a, op("resume-schedule", http.MethodPost, "/schedules/{id}/resume", "Resume a schedule; jobs that were due during the pause are skipped", access.Submitter, http.StatusOK), func(ctx context.Context, in *ByID) (*body[wire.Schedule], error) {
		if err := a.Verb.ResumeSchedule(ctx, caller(ctx), in.ID); err != nil {
			return nil, err
		}
		return a.schedule(ctx, in)
	})
	handle(a, op("run-schedule", http.MethodPost, "/schedules/{id}/run", "Submit the job of a schedule now", access.Submitter, http.StatusAccepted), func(ctx context.Context, in *ByID) (*accepted, error) {
		j, err := a.Verb.RunSchedule(ctx, caller(ctx), in.ID)
		return a.accept(ctx, j, true, 0, err)
	})
}

// schedule returns one schedule.
func (a *api) schedule(ctx context.Context, in *ByID) (*body[wire.Schedule], error) {
	s, err := a.Verb.Schedule(ctx, caller(ctx), in.ID)
	return &body[wire.Schedule]{s}, err
}
