package dray

import (
	"context"
	"time"

	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// apply does what one repository's plan says, and tells how it ended.
func (r *transferring) apply(ctx context.Context, p surveyed) error {
	return r.applyChecked(ctx, p, nil)
}

// applyChecked is apply for steps of which some turned out to have moved.
func (r *transferring) applyChecked(ctx context.Context, p surveyed, moved map[int]error) error {
	defer p.session.release()
	began := time.Now()
	work := newRun(r.base, p.session, &plan.Plan{Verb: r.report.verb(), Overwrite: r.req.Overwrite, Hold: r.hold, Steps: p.Steps}, r.req.Proof)
	work.turn = r.turn
	for i, s := range p.Steps {
		if err := moved[i]; err != nil {
			work.end(i, Failed, err)
		} else {
			work.settled(i, s)
		}
	}
	if r.hold != plan.All || work.firstErr() == nil {
		work.work(ctx, cap(r.images))
		r.heal(ctx, p.From, work)
		work.lock(ctx)
	}
	r.marked(p.mark, work.reports)
	r.telling.Lock()
	defer r.telling.Unlock()
	for _, steps := range byTarget(work.reports, func(s StepReport) ref.Repo { return s.To.Repo }) {
		r.recall(steps[0].To.Repo, steps)
		report := RepositoryReport{To: steps[0].To.Repo, From: sourcesOf(steps), Steps: steps, Took: time.Since(began)}
		r.report.done(report)
		if err := r.visit(report); err != nil {
			return err
		}
	}
	return nil
}

// byTarget parts steps by target repository, in the order in which these come up.
func byTarget[S any](steps []S, repo func(S) ref.Repo) [][]S {
	at := map[ref.Repo]int{}
	var parts [][]S
	for _, s := range steps {
		i, seen := at[repo(s)]
		if !seen {
			i = len(parts)
			at[repo(s)] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], s)
	}
	return parts
}

// sourcesOf lists where steps come from, each repository once.
func sourcesOf(steps []StepReport) []ref.Repo {
	var from []ref.Repo
	known := map[ref.Repo]bool{}
	for _, s := range steps {
		if !known[s.From.Repo] {
			known[s.From.Repo] = true
			from = append(from, s.From.Repo)
		}
	}
	return from
}
