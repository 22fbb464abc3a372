package dray

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// maxGroup is how many steps of a plan file are held at once for each image in flight.
const maxGroup = 10_000

// fileRequest asks that a plan that was written is carried out.
type fileRequest struct {
	Plan        *plan.Reader
	Follow      bool // steps that moved are planned anew
	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

// applyFile carries out a plan while it is read.
func applyFile(ctx context.Context, b *base, names *reader, req fileRequest, obs event.Observer, visit func(RepositoryReport) error) (TransferReport, error) {
	head := req.Plan.Header()
	r := newTransferring(b, names, sweepRequest{Overwrite: head.Overwrite, SourceLogin: req.SourceLogin, TargetLogin: req.TargetLogin}, obs)
	r.visit = visit
	r.hold = head.Hold
	r.req.Backup = head.Backup
	r.report.sum.Verb = head.Verb
	r.report.sum.Notes = head.Notes
	w := r.newWorkers(ctx)
	err := groups(req.Plan, func(steps []plan.Step) error {
		return w.start(func(ctx context.Context) error { return r.applyRead(ctx, req, steps) })
	})
	err = cmp.Or(w.wait(), err)
	if ctx.Err() != nil {
		err = canceled(ctx, "apply plan")
	}
	return r.end(err)
}

// groups reads steps and hands on those that belong together: of a transfer those of one
// target repository, of another plan as many as may be held, and all of a plan that is to
// be done whole or not at all.
func groups(in *plan.Reader, take func([]plan.Step) error) error {
	var group []plan.Step
	all, apart := in.Header().Hold == plan.All, in.Header().Verb == "transfer"
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		steps := group
		group = nil
		return take(steps)
	}
	for {
		s, err := in.Next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return err
		}
		if n := len(group); !all && n > 0 && (n == maxGroup || apart && group[0].To.Repo != s.To.Repo) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, s)
	}
}

// applyRead holds steps against both ends and does them.
func (r *transferring) applyRead(ctx context.Context, req fileRequest, steps []plan.Step) error {
	s := r.begin()
	p := surveyed{RepositoryPlan: RepositoryPlan{Steps: steps}, session: s}
	for _, step := range steps {
		s.aim(step.From.Repo, step.To.Repo)
	}
	moved, err := recheck(ctx, req, p.Steps, s)
	if ctx.Err() != nil {
		return nil // what is not begun is not told of
	}
	if err != nil {
		return err
	}
	for _, one := range byTarget(p.Steps, func(s plan.Step) ref.Repo { return s.To.Repo }) {
		r.report.planned(one, nil)
	}
	return r.applyChecked(ctx, p, moved)
}

// recheck looks at both ends of each step again. failed are the steps that are not to be
// done, and why: with Follow a step that moved is planned anew instead, in its place.
func recheck(ctx context.Context, req fileRequest, steps []plan.Step, s *session) (failed map[int]error, err error) {
	var from, to []ref.Name
	verb := req.Plan.Header().Verb
	for _, step := range steps {
		if step.Action == plan.Broken {
			continue
		}
		if step.From.Tag != "" {
			from = append(from, step.From.Repo.Tagged(step.From.Tag))
		}
		if verb != "tag" { // it looks at no target when it is planned either
			to = append(to, target(step))
		}
	}
	var src, dst found
	err = bySide(ctx,
		func(ctx context.Context) (err error) { src, err = s.lookAgain(ctx, fault.Source, from); return err },
		func(ctx context.Context) (err error) { dst, err = s.lookAgain(ctx, fault.Target, to); return err })
	if err != nil {
		return nil, err
	}
	failed = map[int]error{}
	for i, step := range steps {
		if step.Action == plan.Broken {
			continue
		}
		now, why := src.holds(step)
		if why == nil && verb != "tag" {
			why = dst.took(step)
		}
		if why == nil {
			if step.Moves() && dst.inv[target(step)].Digest == step.Digest() && cmp.Or(step.Overwrite, req.Plan.Header().Overwrite) != plan.Always {
				steps[i].Action = plan.Skip // it was done since
			}
			continue
		}
		if !req.Follow || !fault.Is(why, fault.Moved) || now == "" {
			failed[i] = why
			continue
		}
		anew, err := step.Anew(now, dst.inv[target(step)].Digest, cmp.Or(step.Overwrite, req.Plan.Header().Overwrite))
		if err != nil {
			failed[i] = err
			continue
		}
		steps[i] = anew
		req.Plan.Header().Backup.Name(steps[i : i+1])
	}
	return failed, recheckBackups(ctx, steps, failed, s)
}

// target is the name that a step's target is looked up by.
func target(s plan.Step) ref.Name {
	if s.To.Tag != "" {
		return s.To
	}
	return s.To.Repo.At(string(s.Digest()))
}

// found is what names hold now; lost are those that could not be asked for.
type found struct {
	inv  plan.Inventory
	lost map[ref.Name]error
}

// lookAgain asks for names: by a listing where that tells digests of many, else one by one.
func (s *session) lookAgain(ctx context.Context, side fault.Side, names []ref.Name) (found, error) {
	slices.SortFunc(names, ref.Name.Compare)
	inv, left, err := s.listSide(ctx, side, slices.Compact(names))
	f := found{inv: plan.Inventory{}, lost: map[ref.Name]error{}}
	if err != nil {
		return f, err
	}
	maps.Copy(f.inv, inv)
	var mu sync.Mutex
	return f, each(ctx, asking, left, func(ctx context.Context, n ref.Name) error {
		desc, err := s.lookAtSide(ctx, side, n)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !fault.Is(err, fault.NotFound):
			f.lost[n] = err
		case err == nil && desc.Digest != "":
			f.inv[n] = desc
		}
		return nil
	})
}

func (s *session) listSide(ctx context.Context, side fault.Side, names []ref.Name) (plan.Inventory, []ref.Name, error) {
	if side == fault.Source {
		return s.listSources(ctx, names)
	}
	return s.listTargets(ctx, names)
}

// lookAtSide asks what a source holds, what a target holds under a tag, or whether it holds a digest.
func (s *session) lookAtSide(ctx context.Context, side fault.Side, n ref.Name) (oci.Descriptor, error) {
	if side == fault.Target {
		return s.lookAtTarget(ctx, ref.Name{Repo: n.Repo, Tag: n.Tag}, oci.Digest(n.Digest))
	}
	at, err := s.source(n.Repo)
	if err != nil {
		return oci.Descriptor{}, err
	}
	desc, err := at.Resolve(ctx, reference(n))
	return desc, fault.On(fault.Source, err)
}

// holds says what the source of a step is now, and why the step is not to be done as it was planned.
func (f found) holds(s plan.Step) (now oci.Digest, why error) {
	if s.From.Tag == "" {
		return s.Digest(), nil
	}
	n := s.From.Repo.Tagged(s.From.Tag)
	if err := f.lost[n]; err != nil {
		return "", err
	}
	if now = f.inv[n].Digest; now != s.Digest() {
		return now, moved(fault.Source, s.From, string(s.Digest()), string(now))
	}
	return now, nil
}

// took says why the target of a step is not what it was: a name that holds the planned
// digest by now is as good.
func (f found) took(s plan.Step) error {
	n := target(s)
	if err := f.lost[n]; err != nil {
		return err
	}
	if now := f.inv[n].Digest; now != s.Replaces && now != s.Digest() {
		return moved(fault.Target, s.To, string(s.Replaces), string(now))
	}
	return nil
}
