package temporal

import (
	"context"

	"go.temporal.io/sdk/client"
)

// LookFor is what an engine does now and then for each job that has not ended.
func (e *Engine) LookFor(ctx context.Context, id string) error {
	_, err := e.lookFor(ctx, id)
	return err
}

// LookForSchedules is what an engine does now and then for schedules.
func (e *Engine) LookForSchedules(ctx context.Context) error { return e.lookForSchedules(ctx, true) }

// Keep makes Temporal's schedule from ours.
func (e *Engine) Keep(ctx context.Context, id string) error { return e.keep(ctx, id) }

// Client returns the engine's connection, for a look at what is in Temporal.
func (e *Engine) Client() client.Client { return e.there }

// Namespace returns the engine's namespace.
func (e *Engine) Namespace() string { return e.at.namespace }

// ScheduleID returns the id of a schedule in Temporal.
func ScheduleID(id string) string { return scheduleID(id) }

// DivideBy makes ranges of n parts, so that a test needs only a few.
func (e *Engine) DivideBy(n int) { e.perRange = n }
