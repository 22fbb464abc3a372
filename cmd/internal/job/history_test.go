//go:build unix

package job_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
)

// Health checks and metrics ask every few seconds, so they read the index of jobs that have not ended, and not
// the history.
func TestStatsDoNotReadTheHistory(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db})
		history(t, db, 20_000)
		submit(t, q, job.Submission{})
		if s, err := q.Stats(t.Context()); err != nil || s.Jobs[job.Queued] != 1 || s.Oldest <= 0 || s.Jobs[job.Done] != 0 {
			t.Error(s, err)
		}
		for _, state := range []job.State{job.Queued, job.Running, job.Waiting} {
			if plan := planOf(t, db, job.CountOf(state)); !strings.Contains(plan, "jobs_") || strings.Contains(plan, "jobs_past") {
				t.Errorf("%s: %s", state, plan)
			}
		}
	})
}

// planOf returns how a database reads what a query with one number asks for.
func planOf(t *testing.T, db *store.DB, query string) (plan string) {
	t.Helper()
	explain := `EXPLAIN QUERY PLAN `
	if db.Postgres() {
		explain = `EXPLAIN `
	}
	rows, err := db.QueryContext(t.Context(), explain+query, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(string)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		plan += *values[len(values)-1].(*string) + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
