package job

import "context"

// These methods do at once what housekeeping does from time to time.

func (q *Queue) FireDue(ctx context.Context) error { return q.fireDue(ctx, q.now()) }
func (q *Queue) Clean(ctx context.Context) error   { return q.clean(ctx) }
