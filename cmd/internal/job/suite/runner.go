package suite

import (
	"context"
	"encoding/json"
	"iter"

	"github.com/drayage/dray/cmd/internal/job"
)

// Func is a job.Runner that carries out each job as a whole.
type Func func(ctx context.Context, r *job.Run) job.Outcome

// Run calls f.
func (f Func) Run(ctx context.Context, r *job.Run) job.Outcome { return f(ctx, r) }

// Split divides no job.
func (Func) Split(context.Context, *job.Run, func(json.RawMessage) error) (bool, job.Outcome) {
	return true, job.Outcome{}
}

// Part is never called.
func (Func) Part(context.Context, *job.Run, json.RawMessage) job.Outcome { panic("no job is divided") }

// Sum is never called.
func (Func) Sum(context.Context, *job.Run, iter.Seq2[job.Outcome, error]) job.Outcome {
	panic("no job is divided")
}

func done(context.Context, *job.Run) job.Outcome { return job.Outcome{State: job.Done} }
