//go:build unix

package job_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
)

// The row of a job is locked when one of its parts ends, so its progress is not summed then, but before the
// job goes on. BenchmarkParts shows what an end costs.
func TestTheProgressOfAllPartsIsSummedBeforeTheJobGoesOn(t *testing.T) {
	db := openDB(t, databases.Postgres(t))
	q := open(t, "", job.Config{DB: db, Engine: suite.Divide})
	const ends = 50
	for _, n := range []int{ends, 5000} {
		j := submit(t, q, job.Submission{})
		divided(t, q, j.ID, n)
		if _, err := db.ExecContext(t.Context(), `UPDATE job_parts
			SET progress = '{"steps":2,"finished":1,"failed":0,"doneBytes":10,"totalBytes":20,"bytesPerSecond":5}'`); err != nil {
			t.Fatal(err)
		}
		for part := 1; part <= ends; part++ {
			endPart(t, q, job.Claim{ID: j.ID, Part: part})
		}
		r, err := q.Begin(t.Context(), job.Claim{ID: j.ID, Resume: true})
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Steps, Finished int }
		if err := json.Unmarshal(r.Job.Progress, &p); err != nil || p.Steps != 2*n || p.Finished != n+ends {
			t.Errorf("%s %v", r.Job.Progress, err)
		}
		q.Carry(t.Context(), r, done)
	}
}

// divided begins a job and stores n parts.
func divided(tb testing.TB, q *job.Queue, id string, n int) {
	tb.Helper()
	r, err := q.Begin(tb.Context(), job.Claim{ID: id})
	if err != nil {
		tb.Fatal(err)
	}
	q.Carry(tb.Context(), r, func(ctx context.Context, r *job.Run) job.Outcome {
		parts := make([]json.RawMessage, n)
		for i := range parts {
			parts[i] = json.RawMessage(`{"repositories":["a/b"]}`)
		}
		if err := q.PutParts(ctx, r, 1, parts); err != nil {
			tb.Error(err)
		}
		return job.Outcome{State: job.Running}
	})
}

// endPart carries out a part, which makes two steps.
func endPart(tb testing.TB, q *job.Queue, c job.Claim) {
	tb.Helper()
	r, err := q.Begin(tb.Context(), c)
	if err != nil || r == nil {
		tb.Fatal(r, err)
	}
	out := q.Carry(tb.Context(), r, func(_ context.Context, r *job.Run) job.Outcome {
		r.Progress(json.RawMessage(`{"steps":2,"finished":2,"doneBytes":20,"totalBytes":20}`))
		return job.Outcome{State: job.Done, Report: json.RawMessage(`{}`)}
	})
	if out.State != job.Done {
		tb.Fatal(out)
	}
}

// The parts of one job, one after the other: b.N parts.
func BenchmarkParts(b *testing.B) {
	q := open(b, "", job.Config{DB: openDB(b, databases.Postgres(b)), Engine: suite.Divide})
	j := submit(b, q, job.Submission{})
	divided(b, q, j.ID, b.N)
	b.ResetTimer()
	for part := range b.N {
		endPart(b, q, job.Claim{ID: j.ID, Part: part + 1})
	}
}
