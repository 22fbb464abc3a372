package apply

import (
	"context"
	"slices"

	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// syncReferrers looks for what refers to the images that are up to date, and sends what their targets lack
// of it, if their referrers are to be in sync. The target is asked only if there is something.
func (r *Run) syncReferrers(ctx context.Context, images int) {
	// The error only says that the context ended. The error of each step is in its report.
	_ = place.Each(ctx, images, r.unchanged(), func(ctx context.Context, t *task) error {
		if r.Turn != nil {
			end, ok := r.Turn(ctx)
			if !ok {
				return nil
			}
			defer end()
		}
		if err := r.syncOne(ctx, t); err != nil && ctx.Err() == nil {
			r.fail(t.to[0], err)
		} else if err := r.lacking(t.to[0]); err != nil {
			r.arrivedAlone(t.to[0], err)
		}
		return nil
	})
}

// unchanged groups the steps that are up to date, and whose referrers are to be in sync: one task for each image and
// target repository.
func (r *Run) unchanged() []*task {
	type way struct {
		from, to ref.Repo
		digest   oci.Digest
		finder   *referrers.Finder
	}
	known := map[way]*task{}
	var tasks []*task
	for i, s := range r.Plan.Steps {
		if r.Reports[i].State != report.Unchanged || s.From.Repo.Same(s.To.Repo) {
			continue
		}
		w := way{s.From.Repo, s.To.Repo, s.Digest(), r.finderOf(s)}
		if !w.finder.Choice().InSync() {
			continue
		}
		if known[w] == nil {
			known[w] = &task{from: s.From.Repo, root: s.Root(), trim: s.Trim, of: s.Origin(), finder: w.finder}
			tasks = append(tasks, known[w])
		}
		known[w].add(s.To.Repo, i)
	}
	return tasks
}

func (r *Run) syncOne(ctx context.Context, t *task) error {
	from, part, err := r.open(ctx, t)
	if err != nil {
		return err
	}
	c := &company{run: r, task: t, from: from}
	if c.find(ctx, part); c.err != nil {
		return t.finder.Unknown(c.err)
	}
	if len(c.found) == 0 {
		(&sending{company: c, end: t.to[0]}).record()
		return nil
	}
	at, err := r.session.Target(ctx, t.to[0].repo, layout.Write)
	if err != nil {
		return err
	}
	s := &sending{company: c, end: t.to[0], at: at}
	if err := s.compare(ctx); err != nil {
		return err
	}
	if err := s.send(ctx); err != nil {
		return err
	}
	s.record()
	return nil
}

// compare asks the target what it has of what was found. The rest is left to be sent.
func (s *sending) compare(ctx context.Context) error {
	known := map[oci.Digest]oci.Descriptor{s.task.root.Digest: s.task.root}
	of := map[oci.Digest][]plan.Referrer{}
	var subjects []oci.Digest
	for _, r := range slices.Concat(s.found...) {
		known[r.Digest] = r.Descriptor()
		if of[r.Subject] == nil {
			subjects = append(subjects, r.Subject)
		}
		of[r.Subject] = append(of[r.Subject], r)
	}
	there := map[sent]bool{}
	err := place.Each(ctx, sends, subjects, func(ctx context.Context, subject oci.Digest) error {
		d := known[subject]
		d.Digest = subject
		standing, err := s.task.finder.Listed(ctx, s.from, s.at, d, of[subject])
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, r := range of[subject] {
			there[sent{s.end.repo, r.Digest, r.Tag}] = err == nil && standing[i].There
		}
		return err
	})
	for _, level := range s.found {
		left := slices.DeleteFunc(slices.Clone(level), func(r plan.Referrer) bool {
			return there[sent{s.end.repo, r.Digest, r.Tag}]
		})
		s.sum.Present += len(level) - len(left)
		s.left = append(s.left, left)
	}
	return err
}
