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
	op := func(id, method, path string, role access.Role, status int, text string) operation {
		return operation{
			id: id, method: method, path: path, role: role, status: status, text: text, tag: "schedules",
		}
	}
	handle(a, op("list-schedules", http.MethodGet, "/schedules", access.Reader, http.StatusOK,
		"List the caller's schedules; an admin sees all schedules"), a.listSchedules)
	handle(a, op("make-schedule", http.MethodPost, "/schedules", access.Submitter, http.StatusCreated,
		"Create a schedule, which submits a request repeatedly"), a.makeSchedule)
	handle(a, op("get-schedule", http.MethodGet, "/schedules/{id}", access.Reader, http.StatusOK,
		"Get a schedule and the result of its last job"), a.schedule)
	handle(a, op("change-schedule", http.MethodPut, "/schedules/{id}", access.Submitter, http.StatusOK,
		"Change a schedule"), a.changeSchedule)
	handle(a, op("delete-schedule", http.MethodDelete, "/schedules/{id}", access.Submitter, http.StatusNoContent,
		"Delete a schedule; its jobs are kept"), a.deleteSchedule)
	handle(a, op("pause-schedule", http.MethodPost, "/schedules/{id}/pause", access.Submitter, http.StatusOK,
		"Pause a schedule; it submits no jobs until it is resumed"), a.pauseSchedule)
	handle(a, op("resume-schedule", http.MethodPost, "/schedules/{id}/resume", access.Submitter, http.StatusOK,
		"Resume a schedule; jobs that were due during the pause are skipped"), a.resumeSchedule)
	handle(a, op("run-schedule", http.MethodPost, "/schedules/{id}/run", access.Submitter, http.StatusAccepted,
		"Submit the job of a schedule now"), a.runSchedule)
}

func (a *api) listSchedules(ctx context.Context, _ *struct{}) (*body[wire.Schedules], error) {
	all, err := a.Verb.Schedules(ctx, caller(ctx))
	return &body[wire.Schedules]{wire.Schedules{Schedules: append([]wire.Schedule{}, all...)}}, err
}

func (a *api) makeSchedule(ctx context.Context, in *scheduling) (*created[wire.Schedule], error) {
	s, err := a.verb(ctx).PutSchedule(ctx, caller(ctx), "", in.Body)
	return &created[wire.Schedule]{wire.Prefix + "/schedules/" + s.ID, s}, err
}

// schedule returns one schedule.
func (a *api) schedule(ctx context.Context, in *ByID) (*body[wire.Schedule], error) {
	s, err := a.Verb.Schedule(ctx, caller(ctx), in.ID)
	return &body[wire.Schedule]{s}, err
}

func (a *api) changeSchedule(ctx context.Context, in *rescheduling) (*body[wire.Schedule], error) {
	s, err := a.verb(ctx).PutSchedule(ctx, caller(ctx), in.ID, in.Body)
	return &body[wire.Schedule]{s}, err
}

func (a *api) deleteSchedule(ctx context.Context, in *ByID) (*noContent, error) {
	return &noContent{}, a.Verb.DeleteSchedule(ctx, caller(ctx), in.ID)
}

func (a *api) pauseSchedule(ctx context.Context, in *ByID) (*body[wire.Schedule], error) {
	if err := a.Verb.PauseSchedule(ctx, caller(ctx), in.ID); err != nil {
		return nil, err
	}
	return a.schedule(ctx, in)
}

func (a *api) resumeSchedule(ctx context.Context, in *ByID) (*body[wire.Schedule], error) {
	if err := a.Verb.ResumeSchedule(ctx, caller(ctx), in.ID); err != nil {
		return nil, err
	}
	return a.schedule(ctx, in)
}

func (a *api) runSchedule(ctx context.Context, in *ByID) (*accepted, error) {
	j, err := a.Verb.RunSchedule(ctx, caller(ctx), in.ID)
	return a.accept(ctx, j, true, 0, err)
}
