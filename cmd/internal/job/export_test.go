package job

import "context"

// These methods do at once what housekeeping does from time to time.

func (q *Queue) FireDue(ctx context.Context) error      { return q.fireDue(ctx) }
func (q *Queue) Clean(ctx context.Context) error        { return q.clean(ctx) }
func (q *Queue) SweepExpired(ctx context.Context) error { return q.sweep(ctx, expiredLeases) }

func (q *Queue) TenantsQuery() string { return q.byQueue(tenants) }
