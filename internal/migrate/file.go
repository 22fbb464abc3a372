package migrate

import (
	"cmp"
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// FileRequest asks to apply a plan file.
type FileRequest struct {
	Plan        *plan.Reader
	Follow      bool // a step whose source or target moved is planned again
	SourceLogin *credential.Login
	TargetLogin *credential.Login
	Gate        gate.Gate
}

// Apply applies a plan while reading it.
func Apply(
	ctx context.Context, b *place.Base, names *name.Reader, req FileRequest, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	head := req.Plan.Header()
	r := newTransferring(b, names, Request{
		Overwrite:   head.Overwrite,
		Referrers:   head.Referrers,
		Platforms:   head.Platforms,
		SourceLogin: req.SourceLogin,
		TargetLogin: req.TargetLogin,
		Gate:        req.Gate,
	}, obs)
	r.visit = visit
	r.hold = head.Hold
	r.req.Backup = head.Backup
	r.report.Sum.Verb = head.Verb
	r.report.Sum.Notes = head.Notes
	w := crew.NewWorkers(ctx, r.images.Count())
	err := crew.Groups(w.Ctx, req.Plan, func(g *crew.Group) error {
		return w.Start(func(ctx context.Context) error {
			done := newApplied()
			for {
				steps, more := g.Next(ctx)
				if err := r.applyRead(ctx, req, steps, more, done); err != nil || !more {
					return err
				}
			}
		})
	})
	err = cmp.Or(w.Wait(), err)
	if ctx.Err() != nil {
		err = canceled(ctx, "apply plan")
	}
	return r.end(ctx, err)
}

// applyRead checks steps against both sides and applies them.
func (r *transferring) applyRead(
	ctx context.Context, req FileRequest, steps []plan.Step, more bool, done *applied,
) error {
	s := r.begin()
	p := landing.Surveyed{Repository: plan.Repository{Steps: steps, More: more}, Session: s}
	for _, step := range steps {
		s.Aim(step.From.Repo, step.To.Repo)
	}
	moved, err := recheck(ctx, req, p.Steps, s)
	if ctx.Err() != nil {
		return nil // steps that were not started are not reported
	}
	if err != nil {
		return err
	}
	for _, one := range crew.By(p.Steps, func(s plan.Step) ref.Repo { return s.To.Repo }) {
		r.report.Planned(one[0].To.Repo, one, nil)
	}
	return r.applyChecked(ctx, p, moved, done)
}

// recheck looks at both sides of each step again. failed holds the steps that must not be applied,
// with the reason of each. With Follow, a step that moved is planned again and replaces the old
// step.
func recheck(
	ctx context.Context, req FileRequest, steps []plan.Step, s *place.Session,
) (failed map[int]error, err error) {
	var from, to []ref.Name
	head := req.Plan.Header()
	for _, step := range steps {
		if step.Impossible() {
			continue
		}
		if step.From.Tag != "" {
			from = append(from, step.From.Repo.Tagged(step.From.Tag))
		}
		if head.Verb != "tag" { // a plan of tag does not look at its target either
			to = append(to, survey.TargetOf(step))
		}
	}
	var src, dst survey.Found
	err = place.BySide(ctx,
		func(ctx context.Context) (err error) { src, err = survey.Again(ctx, s, fault.Source, from); return err },
		func(ctx context.Context) (err error) { dst, err = survey.Again(ctx, s, fault.Target, to); return err })
	if err != nil {
		return nil, err
	}
	failed = map[int]error{}
	for i, step := range steps {
		if step.Impossible() {
			continue
		}
		overwrite := cmp.Or(step.Overwrite, head.Overwrite)
		there := dst.Inv[survey.TargetOf(step)].Digest
		now, why := src.Holds(step)
		if why == nil && head.Verb != "tag" {
			why = dst.Took(step)
		}
		if why == nil {
			if step.Moves() && there == step.Digest() && overwrite != plan.Always {
				steps[i].Action = plan.Skip // somebody did this step after the plan was made
			}
			continue
		}
		if !req.Follow || !fault.Is(why, fault.Moved) || now == "" {
			failed[i] = why
			continue
		}
		anew, err := planAgain(ctx, s, head.PlatformsOf(step), step, now, there, overwrite)
		if err != nil {
			failed[i] = err
			continue
		}
		steps[i] = anew
		head.Backup.Name(steps[i : i+1])
	}
	return failed, survey.RecheckBackups(ctx, steps, failed, s)
}

// planAgain plans a step again for the digests that both ends have now. An image that is to be left out by now
// is an error, because its step is in the plan.
func planAgain(
	ctx context.Context, s *place.Session, p plan.Platforms, step plan.Step, now, there oci.Digest,
	overwrite plan.Overwrite,
) (plan.Step, error) {
	n := step.From.Repo.Tagged(step.From.Tag)
	src, dst := plan.Inventory{n: {Digest: now}}, plan.Inventory{step.To: {Digest: there}}
	asked, err := step.Trim.Asked() // the first line may not say it
	if err != nil {
		return plan.Step{}, err
	}
	a, err := trim.New(p.Or(asked)).Images(ctx, s, src, dst, func(ref.Name) []ref.Name { return []ref.Name{step.To} })
	if err = cmp.Or(err, a.Lost[n]); err == nil && len(src) == 0 {
		err = survey.Moved(fault.Source, step.From, string(step.Origin()), string(now)+", which is for other platforms")
	}
	if err != nil {
		return plan.Step{}, err
	}
	if step.To.Tag == "" {
		there = dst[step.To.Repo.At(string(a.Trims.Becomes(now)))].Digest
	}
	one := []plan.Step{step.Anew(now, there, overwrite, a.Trims)}
	return one[0], referrers.KeepOwn(ctx, s, one, overwrite)
}
