package admit

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// atOnce is how many images a gate is asked about at the same time.
const atOnce = 16

// Steps asks the gate of s about each image that steps would move. Steps of an image that it does not
// admit become Refused. A new name for an image in its own repository is no move: verb tag is not asked.
// The error is Canceled.
func Steps(ctx context.Context, s *place.Session, verb string, steps []plan.Step) error {
	if s.Gate == nil {
		return nil
	}
	type image struct {
		repo   ref.Repo
		digest oci.Digest
	}
	at := map[image][]int{}
	var order []image
	for i, step := range steps {
		if !step.Moves() || verb == "tag" && step.From.Repo == step.To.Repo {
			continue
		}
		key := image{step.From.Repo, step.Digest()}
		if at[key] == nil {
			order = append(order, key)
		}
		at[key] = append(at[key], i)
	}
	return place.Each(ctx, atOnce, order, func(ctx context.Context, key image) error {
		first := steps[at[key][0]]
		err := s.Verdicts.Once(ctx, key.repo, key.digest, func() error { return ask(ctx, s, first) })
		if fault.Is(err, fault.Canceled) {
			return err
		}
		if err != nil {
			for _, i := range at[key] { // no other call has these steps
				steps[i] = refused(steps[i], err)
			}
		}
		return nil
	})
}

// ask asks the gate about the image that step would move.
func ask(ctx context.Context, s *place.Session, step plan.Step) error {
	at, err := s.Source(ctx, step.From.Repo)
	if err != nil {
		return err
	}
	return s.Gate.Admit(ctx, gate.NewImage(step.From, step.Root(), source{at, s}))
}

// source is a source repository that shares the documents of the session: the copy does not read again
// what the gate has read.
type source struct {
	place.Repository
	session *place.Session
}

// Document reads a document from what the session has read. A tag is always asked for.
func (r source) Document(ctx context.Context, reference string) (oci.Document, error) {
	if ref.Digest(reference) != nil {
		return r.Repository.Document(ctx, reference)
	}
	return r.session.Documents.Read(ctx, r.Repository, oci.Digest(reference))
}

func refused(s plan.Step, err error) plan.Step {
	s.Action, s.Problem = plan.Refused, plan.ProblemOf(err)
	s.Backup, s.Locks = "", oci.Locks{}
	return s
}
