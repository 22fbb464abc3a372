package survey

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

// findLocks reads the locks of both sides, with one listing each. It gives each step the locks that
// its target lacks. dray never removes a lock.
func (k *Landing) findLocks(ctx context.Context) error {
	if !k.CopyLocks {
		return nil
	}
	var mu sync.Mutex
	src, dst := map[ref.Name]oci.Locks{}, map[ref.Name]oci.Locks{}
	read := func(ctx context.Context, side fault.Side, repo ref.Repo, into map[ref.Name]oci.Locks) error {
		err := k.Into.Session.Own(side, repo, remote.Pull).Locks(ctx, func(tag string, l oci.Locks) error {
			mu.Lock()
			defer mu.Unlock()
			into[repo.Tagged(tag)] = l
			return nil
		})
		if side == fault.Target && fault.Is(err, fault.NotFound) {
			return nil // what does not exist is not locked
		}
		return fault.On(side, err)
	}
	readSource := func(ctx context.Context, from ref.Repo) error { return read(ctx, fault.Source, from, src) }
	err := place.BySide(ctx,
		func(ctx context.Context) error { return place.Each(ctx, len(k.Of.From), k.Of.From, readSource) },
		func(ctx context.Context) error { return read(ctx, fault.Target, k.Of.To, dst) })
	if err != nil {
		return err
	}
	for i := range k.Into.Steps {
		s := &k.Into.Steps[i]
		if s.Action != plan.Broken && s.Action != plan.Conflict && s.From.Tag != "" && s.To.Tag != "" {
			s.Locks = src[s.From.Repo.Tagged(s.From.Tag)].Beyond(dst[s.To])
		}
	}
	return nil
}

// checkLocks asks the registry, for each name that would move from one digest to another, whether
// the tag may be moved. A step that would move a locked or immutable tag becomes a Broken step with
// a Conflict, before anything moves. This costs one request for each name at registries that report
// locks, and no request at others.
func (p *Draft) checkLocks(ctx context.Context) error {
	var moving []int
	for i, s := range p.Steps {
		replaces := s.Action == plan.Replace || s.Action == plan.Retag
		changes := s.To.Tag != "" && s.Replaces != "" && s.Replaces != s.Digest()
		if replaces && changes && p.session.Base.Elsewhere(s.To.Repo) {
			moving = append(moving, i)
		}
	}
	return place.Each(ctx, place.Lookups, moving, func(ctx context.Context, i int) error {
		step := &p.Steps[i]
		why, err := p.session.Once(fault.Target, step.To.Repo, remote.Push).Locked(ctx, step.To.Tag)
		if err != nil || why == "" {
			return fault.On(fault.Target, err)
		}
		step.Action = plan.Broken
		reason := fmt.Errorf("%s: it has digest %s, the source has %s", why, step.Replaces, step.Digest())
		step.Problem = plan.ProblemOf(locked(p.Verb, step.To, reason))
		return nil
	})
}

// LockedHint is the hint for a tag that may not be moved.
const LockedHint = "use another tag, or unlock this one"

func locked(verb string, to ref.Name, why error) error {
	return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: to.String(), Hint: LockedHint, Err: why}
}
