package referrers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Fill finds the referrers of the images that the steps of p copy, and sets Step.Referrers of the first step of
// each image at each target. If they are to be in sync, it also finds what the target lacks of those of images that are
// up to date. A step whose referrers cannot be found becomes Broken, as it would fail.
func Fill(ctx context.Context, s *place.Session, p plan.Plan) { FillRange(ctx, s, p, &Filled{}) }

// Filled is what several ranges of the steps of one plan have in common, if there are several. All of them have the
// referrers of the plan. The zero value is that of a plan of one range.
type Filled struct {
	// Own reports whether a step of the plan sets a tag that a source has under the same tag. nil means that there is
	// one range.
	Own func(from ref.Repo, tag string) bool

	images, found map[[32]byte]bool // which were seen so far
}

// FillRange is Fill for a range of the steps of a plan. The ranges come in the order of the steps.
func FillRange(ctx context.Context, s *place.Session, p plan.Plan, filled *Filled) {
	for _, choice := range Choices(p) {
		if choice.Travel() {
			New(s, choice).fill(ctx, p, filled)
		}
	}
}

// saw reports whether what words say was seen before.
func saw(seen map[[32]byte]bool, words ...string) bool {
	sum := sha256.Sum256([]byte(strings.Join(words, " ")))
	was := seen[sum]
	seen[sum] = true
	return was
}

// begin returns what was seen in the ranges before.
func (l *Filled) begin() (images, found map[[32]byte]bool) {
	if l.Own == nil {
		return map[[32]byte]bool{}, map[[32]byte]bool{}
	}
	if l.images == nil {
		l.images, l.found = map[[32]byte]bool{}, map[[32]byte]bool{}
	}
	return l.images, l.found
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
func (f *Finder) fill(ctx context.Context, p plan.Plan, filled *Filled) {
	steps := p.Steps
	images, seen := filled.begin()
	var at []int
	own := map[ref.Name]bool{}
	for i, s := range steps {
		f.Knows(s.From.Repo, s.From.Tag, s.Root())
		own[s.To.Repo.Tagged(s.From.Tag)] = s.From.Tag == s.To.Tag
		if f.travels(s) && p.ReferrersOf(s).Equal(f.choice) &&
			!saw(images, s.From.Repo.String(), s.To.Repo.String(), string(s.Digest())) {
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
		found, err := f.with(ctx, s)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			s.Action, s.Problem = plan.Broken, plan.ProblemOf(f.Unknown(err))
		}
		for _, r := range found {
			if r.Tag != "" && (own[s.To.Repo.Tagged(r.Tag)] || filled.Own != nil && filled.Own(s.From.Repo, r.Tag)) {
				continue // a step of its own copies it
			}
			r.Annotations = nil // they may be long, and the plan does not need them
			if cmp.Or(s.Overwrite, p.Overwrite) == plan.Always {
				r.Keeps = ""
			}
			s.Referrers = append(s.Referrers, r)
		}
		return nil
	})
	onceEach(steps, seen)
}

// onceEach keeps each referrer at the first step that it travels with: several images may have the same.
func onceEach(steps []plan.Step, seen map[[32]byte]bool) {
	for i := range steps {
		s := &steps[i]
		s.Referrers = slices.DeleteFunc(s.Referrers, func(r plan.Referrer) bool {
			return saw(seen, s.From.Repo.String(), s.To.Repo.String(), string(r.Digest), r.Tag)
		})
	}
}

// travels reports whether referrers travel with the image of a step.
func (f *Finder) travels(s plan.Step) bool {
	moves := s.Moves() || s.Action == plan.Skip && s.Keeps == "" && f.choice.InSync()
	return moves && !s.From.Repo.Same(s.To.Repo)
}

// with returns what travels with the image of a step. The target is asked for digest tags, and if the image is up to
// date, for all of it.
func (f *Finder) with(ctx context.Context, s *plan.Step) ([]plan.Referrer, error) {
	from, err := f.session.Source(ctx, s.From.Repo)
	if err != nil {
		return nil, err
	}
	levels, err := f.OfTrimmed(ctx, from, s.Root(), s.Origin(), s.Trim)
	all := slices.Concat(levels...)
	if err != nil || len(all) == 0 || place.Absent(s.To.Repo) {
		return all, err
	}
	at, err := f.session.Target(ctx, s.To.Repo, layout.Read)
	if fault.Is(err, fault.NotFound) {
		return all, nil // an end on disk that does not exist yet
	}
	if err != nil {
		return nil, err
	}
	return f.lacking(ctx, s, from, at, all)
}

// lacking returns those of all that a target does not have. If the image of the step moves, it is asked for digest
// tags only.
func (f *Finder) lacking(
	ctx context.Context, s *plan.Step, from, at place.Repository, all []plan.Referrer,
) ([]plan.Referrer, error) {
	drop := make([]bool, len(all))
	of := map[oci.Digest][]int{} // by the document that they refer to
	for i, r := range all {
		if !s.Moves() || r.Tag != "" {
			of[r.Subject] = append(of[r.Subject], i)
		}
	}
	subjects := slices.Collect(maps.Keys(of))
	err := place.Each(ctx, place.Lookups, subjects, func(ctx context.Context, subject oci.Digest) error {
		var want []plan.Referrer
		for _, i := range of[subject] {
			want = append(want, all[i])
		}
		standing, err := f.Listed(ctx, from, at, oci.Descriptor{Digest: subject, MediaType: s.MediaType}, want)
		if err != nil {
			return err
		}
		for k, i := range of[subject] {
			drop[i] = standing[k].There
			all[i].Keeps = standing[k].Keeps
		}
		return nil
	})
	var left []plan.Referrer
	for i, r := range all {
		if !drop[i] {
			left = append(left, r)
		}
	}
	return left, err
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
