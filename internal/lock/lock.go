// Package lock finds tags that a registry does not allow to move, and the locks that a target lacks.
package lock

import (
	"context"
	"fmt"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Hint is the hint for a tag that may not be moved.
const Hint = "use another tag, or unlock this one"

// Locks are the locks of both sides of a landing.
type Locks struct{ src, dst map[ref.Name]oci.Locks }

// Read reads the locks of both sides of a landing, with one listing for each repository.
func Read(ctx context.Context, s *place.Session, l plan.Landing) (*Locks, error) {
	var mu sync.Mutex
	src, dst := map[ref.Name]oci.Locks{}, map[ref.Name]oci.Locks{}
	read := func(ctx context.Context, side fault.Side, repo ref.Repo, into map[ref.Name]oci.Locks) error {
		err := s.Own(side, repo, remote.Pull).Locks(ctx, func(tag string, l oci.Locks) error {
			mu.Lock()
			defer mu.Unlock()
			if l != (oci.Locks{}) {
				into[repo.Tagged(tag)] = l
			}
			return nil
		})
		if side == fault.Target && fault.Is(err, fault.NotFound) {
			return nil // what does not exist is not locked
		}
		return fault.On(side, err)
	}
	readSource := func(ctx context.Context, from ref.Repo) error { return read(ctx, fault.Source, from, src) }
	err := place.BySide(ctx,
		func(ctx context.Context) error { return place.Each(ctx, len(l.From), l.From, readSource) },
		func(ctx context.Context) error { return read(ctx, fault.Target, l.To, dst) })
	return &Locks{src, dst}, err
}

// Find gives each step the locks that its target lacks. dray never removes a lock.
func (l *Locks) Find(steps []plan.Step) {
	for i := range steps {
		s := &steps[i]
		if s.Action != plan.Broken && s.Action != plan.Conflict && s.From.Tag != "" && s.To.Tag != "" {
			s.Locks = l.src[s.From.Repo.Tagged(s.From.Tag)].Beyond(l.dst[s.To])
		}
	}
}

// Check asks the registry, for each name that would move from one digest to another, whether
// the tag may be moved. A step that would move a locked or immutable tag becomes a Broken step with
// a Conflict, before anything moves. This costs one request for each name at registries that report
// locks, and no request at others.
func Check(ctx context.Context, s *place.Session, verb string, steps []plan.Step) error {
	var moving []int
	for i, step := range steps {
		replaces := step.Action == plan.Replace || step.Action == plan.Retag
		changes := step.To.Tag != "" && step.Replaces != "" && step.Replaces != step.Digest()
		if replaces && changes && s.Base.Elsewhere(step.To.Repo) {
			moving = append(moving, i)
		}
	}
	return place.Each(ctx, place.Lookups, moving, func(ctx context.Context, i int) error {
		step := &steps[i]
		why, err := s.Once(fault.Target, step.To.Repo, remote.Push).Locked(ctx, step.To.Tag)
		if err != nil || why == "" {
			return fault.On(fault.Target, err)
		}
		step.Action = plan.Broken
		step.Problem = plan.ProblemOf(&fault.Fault{
			Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: step.To.String(), Hint: Hint,
			Err: fmt.Errorf("%s: it has digest %s, the source has %s", why, step.Replaces, step.Digest()),
		})
		return nil
	})
}
