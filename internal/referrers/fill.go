package referrers

import (
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Fill finds the referrers of the images that the steps of p copy, and sets Step.Referrers of the first step of
// each image at each target. A step whose referrers cannot be found becomes Broken, as it would fail.
func Fill(ctx context.Context, s *place.Session, p plan.Plan) {
	for _, choice := range Choices(p) {
		if choice.Travel() {
			New(s, choice).fill(ctx, p)
		}
	}
}

// Choices returns what travels with the images of p, each choice once. That of p itself is the first.
func Choices(p plan.Plan) []plan.Referrers {
	all := []plan.Referrers{p.Referrers}
	for _, s := range p.Steps {
		if of := p.ReferrersOf(s); !slices.ContainsFunc(all, of.Equal) {
			all = append(all, of)
		}
	}
	return all
}

// fill fills those steps of p whose referrers f finds.
func (f *Finder) fill(ctx context.Context, p plan.Plan) {
	steps := p.Steps
	type way struct {
		from, to ref.Repo
		digest   oci.Digest
	}
	seen := map[way]bool{}
	var at []int
	own := map[ref.Name]bool{}
	for i, s := range steps {
		f.Knows(s.From.Repo, s.From.Tag, s.Root())
		own[s.To.Repo.Tagged(s.From.Tag)] = s.From.Tag == s.To.Tag
		w := way{s.From.Repo, s.To.Repo, s.Digest()}
		if s.Moves() && !s.From.Repo.Same(s.To.Repo) && !seen[w] && p.ReferrersOf(s).Equal(f.choice) {
			seen[w] = true
			at = append(at, i)
		}
	}
	f.Expect(func(yield func(ref.Repo) bool) {
		for _, i := range at {
			if !yield(steps[i].From.Repo) {
				return
			}
		}
	})
	// The error only says that the context ended.
	_ = place.Each(ctx, place.Lookups, at, func(ctx context.Context, i int) error {
		s := &steps[i]
		from, err := f.session.Source(ctx, s.From.Repo)
		var levels [][]plan.Referrer
		if err == nil {
			levels, err = f.OfTrimmed(ctx, from, s.Root(), s.Origin(), s.Trim)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			s.Action, s.Problem = plan.Broken, plan.ProblemOf(f.Unknown(err))
		}
		for _, level := range levels {
			for _, r := range level {
				if r.Tag != "" && own[s.To.Repo.Tagged(r.Tag)] {
					continue // a step of its own copies it
				}
				r.Annotations = nil // they may be long, and the plan does not need them
				s.Referrers = append(s.Referrers, r)
			}
		}
		return nil
	})
}

// Unknown adds to an error of a source that cannot say what refers to an image what to do about it.
func (f *Finder) Unknown(err error) error {
	if fault.Is(err, fault.Canceled) {
		return err
	}
	leave := "leave signatures and other referrers behind with " + f.session.Base.Words.NoReferrers()
	hint := "try again, or " + leave
	if own := fault.HintOf(err); own != "" {
		hint = own + "; or " + leave
	}
	return &fault.Fault{Kind: fault.KindOf(err), Side: fault.Source, Op: "find referrers", Hint: hint, Err: err}
}
