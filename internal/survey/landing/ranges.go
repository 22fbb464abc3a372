package landing

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/drayage/dray/internal/lock"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// perRange is how many names of a target repository are planned at a time.
const perRange = 1000

// Count returns how many ranges the steps of the landing have in an order: at least one.
func (k *Landing) Count(order listing.Order) int {
	if k.isWhole() {
		return 1
	}
	return k.from.wants.Count(k.perRange(), order)
}

func (k *Landing) perRange() int { return cmp.Or(k.Base.PerRange, perRange) }

// isWhole reports whether all steps have to be made together, because one of them may depend on any other: on which
// images a gate admits, on what is left of an image, or on what an end on disk can hold.
func (k *Landing) isWhole() bool {
	return k.copiesByDigest() || k.Trimmer.Trims() || k.Into.Session.Gate != nil || k.Of.To.IsLayout() ||
		slices.ContainsFunc(k.Of.From, ref.Repo.IsLayout)
}

// Plan makes the steps of a range, and finds out what prevents them.
func (k *Landing) Plan(ctx context.Context, order listing.Order, n int) ([]plan.Step, error) {
	steps, err := k.Steps(ctx, order, n)
	if err != nil {
		return nil, err
	}
	if err := referrers.KeepOwn(ctx, k.Into.Session, steps, k.Overwrite); err != nil {
		return nil, err
	}
	p := plan.Plan{Verb: "transfer", Backup: k.Backup, Steps: steps}
	if err := survey.CheckTargets(ctx, k.Into.Session, p, k.elsewhere(steps)); err != nil {
		return nil, err
	}
	k.noteBackups(steps)
	if !k.CopyLocks {
		return steps, nil
	}
	if k.locks == nil {
		if k.locks, err = lock.Read(ctx, k.Into.Session, k.Of); err != nil {
			return nil, err
		}
	}
	k.locks.Find(steps)
	return steps, nil
}

// Sets reports whether a step copies a tag of a source under the same name.
func (k *Landing) Sets(from ref.Repo, tag string) bool { return k.from.wants.Sets(from, tag) }

// elsewhere returns what the steps of the other ranges set a name of the target to. nil means that steps are all.
func (k *Landing) elsewhere(steps []plan.Step) survey.Elsewhere {
	if k.Backup.Template == "" || k.isWhole() {
		return nil
	}
	here := map[ref.Name]bool{}
	for _, s := range steps {
		here[s.To] = true
	}
	return func(n ref.Name) (oci.Digest, bool) {
		if from, set := k.from.wants.Source(n.Tag); set && !here[n] {
			return k.from.wants.Descriptor(from).Digest, true
		}
		d, kept := k.backups[n]
		return d, kept
	}
}

// noteBackups remembers the backups of a range for those after it.
func (k *Landing) noteBackups(steps []plan.Step) {
	for _, s := range steps {
		if s.Backup == "" || s.Action == plan.Broken {
			continue
		}
		if k.backups == nil {
			k.backups = map[ref.Name]oci.Digest{}
		}
		k.backups[s.Kept()] = s.Replaces
	}
}

// Steps compares both sides and makes the steps of a range.
func (k *Landing) Steps(ctx context.Context, order listing.Order, n int) (steps []plan.Step, err error) {
	if k.isWhole() {
		return k.wholeSteps(ctx)
	}
	w := k.from.wants
	cut := w.Cut(k.perRange(), order, n)
	src, dst := make(plan.Inventory, len(cut.Steps)), plan.Inventory{}
	targets := make(map[ref.Name][]ref.Name, len(cut.Steps))
	for _, s := range cut.Steps {
		from, to := w.Name(s.From), k.Of.To.Tagged(s.To)
		src[from], targets[from] = w.Descriptor(s.From), append(targets[from], to)
		if d := k.has(s.To); d.Digest != "" {
			dst[to] = d
		}
	}
	of := func(from ref.Name) []ref.Name { return targets[from] }
	steps, err = plan.Make(ctx, src, dst, plan.Rules{Overwrite: k.Overwrite, Targets: of})
	if err != nil {
		return nil, err
	}
	k.markLost(steps, nil)
	for _, p := range cut.Bad {
		_, err := k.Of.Targets(w.Name(p), k.Map)
		steps = append(steps, brokenStep(w.Name(p), k.Of.To.Tagged(""), err))
	}
	for _, t := range cut.Twins {
		best, err := k.best(w, t.To, t.From)
		steps = append(steps, brokenStep(w.Name(best), k.Of.To.Tagged(t.To), err))
	}
	return append(steps, k.brokenSteps(cut.Failed)...), nil
}

// markLost breaks the steps of names that could not be looked up at the target. more has those without a tag.
func (k *Landing) markLost(steps []plan.Step, more map[ref.Name]error) {
	for i, s := range steps {
		err := cmp.Or(more[survey.TargetOf(s)], k.lost[s.To.Tag])
		if err != nil && s.Action != plan.Broken {
			steps[i].Action, steps[i].Problem = plan.Broken, plan.ProblemOf(err)
		}
	}
}

// wholeSteps makes all steps of the landing at once.
func (k *Landing) wholeSteps(ctx context.Context) ([]plan.Step, error) {
	w := k.from.wants
	src, dst, lost := plan.Inventory{}, plan.Inventory{}, map[ref.Name]error{}
	var failed []listing.Place
	for s, side := range w.Sides {
		for _, at := range side.Kept {
			p := listing.Place{Side: int32(s), At: at}
			if d := w.Descriptor(p); d.Digest != "" && !k.from.skipped[p] {
				src[w.Name(p)] = d
			}
		}
	}
	for p := range k.from.failed {
		delete(src, w.Name(p))
		failed = append(failed, p)
	}
	for tag := range w.Tags {
		if d := k.has(tag); d.Digest != "" {
			dst[k.Of.To.Tagged(tag)] = d
		}
	}
	slices.SortFunc(failed, func(a, b listing.Place) int { return w.Name(a).Compare(w.Name(b)) })
	broken := k.brokenSteps(failed)
	more, err := k.addByDigest(ctx, src, dst, lost)
	if err != nil {
		return nil, err
	}
	trims, left, err := k.trim(ctx, src, dst)
	if err != nil {
		return nil, err
	}
	m := k.merge()
	m.Trims = trims
	steps, err := k.Of.Merge(ctx, src, dst, m)
	if err != nil {
		return nil, err
	}
	k.markLost(steps, lost)
	return slices.Concat(steps, broken, more, left), nil
}

// trim finds out what of the images in src is copied, and takes those out of it that are not.
func (k *Landing) trim(ctx context.Context, src, dst plan.Inventory) (plan.Trims, []plan.Step, error) {
	a, err := k.Trimmer.Images(ctx, k.Into.Session, src, dst, func(n ref.Name) []ref.Name {
		to, _ := k.Of.Targets(n, k.Map) // Merge reports this error
		return to
	})
	if err != nil {
		return nil, nil, err
	}
	k.Into.Notes = append(k.Into.Notes, a.Notes...)
	var broken []plan.Step
	for _, n := range slices.SortedFunc(maps.Keys(a.Lost), ref.Name.Compare) {
		broken = append(broken, k.brokenAt(n, a.Lost[n])...)
	}
	return a.Trims, broken, nil
}

// brokenSteps returns the steps of sources that could not be looked up.
func (k *Landing) brokenSteps(failed []listing.Place) (steps []plan.Step) {
	for _, p := range failed {
		n, err := k.from.wants.Name(p), k.from.failed[p]
		if err == nil {
			err = survey.Gone(n, k.Base.Words)
		}
		steps = append(steps, k.brokenAt(n, err)...)
	}
	return steps
}

// brokenAt returns a Broken step for each target name of the source n.
func (k *Landing) brokenAt(n ref.Name, err error) (steps []plan.Step) {
	targets, bad := k.Of.Targets(n, k.Map)
	if bad != nil || len(targets) == 0 {
		targets = []ref.Name{k.Of.To.Tagged(n.Tag)}
	}
	for _, to := range targets {
		steps = append(steps, brokenStep(n, to, err))
	}
	return steps
}
