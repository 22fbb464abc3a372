package job

import "context"

// Clean does at once what a Queue does from time to time.
func (q *Queue) Clean(ctx context.Context) error { return q.clean(ctx) }

// OldSchema returns the migrations of the last release.
func OldSchema() []string { return schema()[:1] }

// FlushTwice writes what r has produced, and writes it again as if the answer to the first commit were lost.
func (r *Run) FlushTwice(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	b := r.unwritten()
	for range 2 {
		if err := r.q.flushed(ctx, []*Run{r}, map[*Run]batch{r: b}); err != nil {
			return err
		}
	}
	return nil
}

// CountOf returns the query with which Stats counts the jobs in a state.
func CountOf(state State) string { return countOf(state) }
