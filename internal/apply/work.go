package apply

import (
	"context"
	"slices"

	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Work applies all steps that are left, image by image. What is tagged for the digest of another image, such
// as a signature, comes first, so that no image appears without it. Then come images whose tags all stay.
// Images with a tag that moves from release to release come last.
func (r *Run) Work(ctx context.Context, images int) {
	r.session.Guard = r.guard
	r.sent, r.tagSteps, r.carried = map[sent]*delivery{}, tagSteps(r.Plan.Steps), map[ref.Repo][]ledger.Copied{}
	defer r.noteCarried()
	defer func() { r.Earlier.add(r.sent) }() // those that failed are not among them
	defer r.unstage(ctx)
	tasks := r.search()
	r.noteSparse(tasks)
	defer r.noteWhole(slices.Clone(tasks)) // the slice itself is taken apart below
	if r.Plan.Hold == plan.All && len(tasks) > 1 {
		var all bool
		if tasks, all = r.stage(ctx, images, tasks); !all {
			return
		}
	}
	signing := slices.DeleteFunc(slices.Clone(tasks), func(t *task) bool { return !r.signs(t) })
	tasks = slices.DeleteFunc(tasks, r.signs)
	staying := slices.DeleteFunc(slices.Clone(tasks), r.moves)
	moving := slices.DeleteFunc(tasks, func(t *task) bool { return !r.moves(t) })
	r.runRounds(ctx, images, signing, staying, moving)
	r.syncReferrers(ctx, images)
}

// search prepares the search for what travels with the images, and returns the tasks.
func (r *Run) search() []*task {
	for _, choice := range referrers.Choices(*r.Plan) {
		r.finders = append(r.finders, referrers.New(r.session, choice))
	}
	tasks := r.tasks()
	for _, f := range r.finders {
		for _, s := range r.Plan.Steps {
			f.Knows(s.From.Repo, s.From.Tag, s.Root())
		}
		f.Expect(func(yield func(ref.Repo) bool) {
			for _, t := range tasks {
				if t.finder == f && !yield(t.from) {
					return
				}
			}
		})
	}
	return tasks
}

// noteSparse remembers the indexes that targets get without some of their images, before they get them: the digest does
// not tell, and a later run must not take such an index for the whole image.
func (r *Run) noteSparse(tasks []*task) {
	for _, t := range tasks {
		for _, e := range t.to {
			if t.trim.Form == plan.Sparse {
				// If this cannot be written to disk, only a verification finds out.
				_ = r.session.Base.Sparse.Note(e.repo, []oci.Digest{t.root.Digest}, nil)
			}
		}
	}
}

// noteWhole forgets the sparse indexes of which a target has everything now.
func (r *Run) noteWhole(tasks []*task) {
	known, whole := map[ref.Repo]map[oci.Digest]bool{}, map[ref.Repo][]oci.Digest{}
	for _, t := range tasks {
		for _, e := range t.to {
			if t.trim.Partial() || r.Reports[e.steps[0]].State != report.Done {
				continue
			}
			if _, read := known[e.repo]; !read {
				known[e.repo] = r.session.Base.Sparse.Of(e.repo)
			}
			if known[e.repo][t.root.Digest] {
				whole[e.repo] = append(whole[e.repo], t.root.Digest)
			}
		}
	}
	for repo, digests := range whole {
		_ = r.session.Base.Sparse.Note(repo, nil, digests)
	}
}

// signs reports whether a step of t sets a tag that belongs to a digest: of a signature, or of a list of
// referrers.
func (r *Run) signs(t *task) bool {
	return slices.ContainsFunc(t.to, func(e *end) bool {
		return slices.ContainsFunc(e.steps, func(i int) bool {
			belongs, _ := oci.TaggedFor(r.Plan.Steps[i].To.Tag)
			return belongs != ""
		})
	})
}

// stage copies all content without setting a name. It returns tasks that then set the names of the
// content at each target. all is false if some content did not arrive: then no name may be set.
func (r *Run) stage(ctx context.Context, images int, tasks []*task) (named []*task, all bool) {
	var bare []*task
	for _, t := range tasks {
		b := *t
		b.part = contentOnly
		bare = append(bare, &b)
	}
	r.runRounds(ctx, images, bare)
	for _, t := range tasks {
		for _, e := range t.to {
			named = append(named, &task{from: e.repo, root: t.root, to: []*end{e}, part: namesOnly})
		}
	}
	return named, r.FirstErr() == nil && ctx.Err() == nil
}

func (r *Run) moves(t *task) bool {
	return slices.ContainsFunc(t.to, func(e *end) bool {
		return slices.ContainsFunc(e.steps, func(i int) bool { return plan.Moving(r.Plan.Steps[i].To.Tag) })
	})
}

// tasks groups the steps: one task for each image, one end for each target repository.
func (r *Run) tasks() []*task {
	type image struct {
		repo   ref.Repo
		digest oci.Digest
		trim   plan.Trim
		finder *referrers.Finder
	}
	keyOf := func(s plan.Step) image { return image{s.From.Repo, s.Digest(), s.Trim, r.finderOf(s)} }
	byImage := map[image]*task{}
	var tasks []*task
	for i, s := range r.Plan.Steps {
		if r.Reports[i].State != report.NotStarted {
			continue
		}
		t := byImage[keyOf(s)]
		if t == nil {
			t = &task{from: s.From.Repo, root: s.Root(), trim: s.Trim, of: s.Origin(), finder: r.finderOf(s)}
			byImage[keyOf(s)] = t
			tasks = append(tasks, t)
		}
		t.add(s.To.Repo, i)
	}
	for i, s := range r.Plan.Steps {
		if t := byImage[keyOf(s)]; t != nil && r.Reports[i].State == report.Unchanged {
			t.there = append(t.there, s.To.Repo)
		}
	}
	return tasks
}
