package verb

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

// Split says that the job of r is carried out as a whole.
func (s *Service) Split(context.Context, *job.Run, func(part json.RawMessage) error) (whole bool, out job.Outcome) {
	return true, job.Outcome{}
}

// Part fails, because no job is divided.
func (s *Service) Part(context.Context, *job.Run, json.RawMessage) job.Outcome { return notDivided() }

// Sum fails, because no job is divided.
func (s *Service) Sum(context.Context, *job.Run, iter.Seq2[job.Outcome, error]) job.Outcome {
	return notDivided()
}

func notDivided() job.Outcome {
	return failure(job.Failed, nil, &fault.Fault{Kind: fault.Internal, Op: "run job", Err: errors.New("not divided")})
}
