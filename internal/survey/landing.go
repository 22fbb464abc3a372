package survey

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/lock"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// NewLanding returns the survey of l, which writes its result into p.
func NewLanding(s *Scope, l plan.Landing, p *Surveyed) *Landing {
	return &Landing{Scope: s, Of: l, Into: p, at: l.From[0], lists: map[oci.Digest]bool{}}
}

// After reuses what another survey found in the same sources. It does nothing useful if that survey
// did not get as far as reading the sources.
func (k *Landing) After(other *Landing) {
	k.seen, k.seenBroken, k.byDigest = other.seen, other.seenBroken, other.byDigest
}

// SawSources reports whether the survey has read the sources.
func (k *Landing) SawSources() bool { return k.seen != nil }

// Troubled returns the source to name next to the target in an error.
func (k *Landing) Troubled() ref.Name { return k.at.Tagged("") }

// Plan surveys both sides and makes the steps of the landing.
func (k *Landing) Plan(ctx context.Context) error {
	src, dst, lost, err := k.Survey(ctx)
	if err != nil {
		return err
	}
	steps, err := k.Merge(ctx, src, dst, lost)
	if err != nil {
		return err
	}
	if err := referrers.KeepOwn(ctx, k.Into.Session, steps, k.Overwrite); err != nil {
		return err
	}
	p := &Draft{Plan: plan.Plan{Verb: "transfer", Backup: k.Backup, Steps: steps}, session: k.Into.Session}
	if err := p.checkTargets(ctx); err != nil {
		return err
	}
	k.Into.Steps = p.Steps
	if !k.CopyLocks {
		return nil
	}
	return lock.Find(ctx, k.Into.Session, k.Of, k.Into.Steps)
}

// Survey finds out what is to be copied, and what the target has under these names. lost holds the
// names of the target that could not be looked up.
func (k *Landing) Survey(ctx context.Context) (src, dst plan.Inventory, lost map[ref.Name]error, err error) {
	sources, target, err := k.list(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	src = maps.Clone(k.seen)
	if src == nil {
		src = plan.Inventory{}
	}
	for _, s := range sources {
		found, err := k.selected(ctx, s)
		if err != nil {
			k.at = s.at.Repo()
			return nil, nil, nil, err
		}
		maps.Copy(src, found)
	}
	wanted := map[string]bool{}
	for from := range src {
		if ctx.Err() != nil {
			return nil, nil, nil, context.Cause(ctx)
		}
		to, err := k.Of.Targets(from, k.Map)
		if err != nil {
			continue // Merge reports this error
		}
		for _, n := range to {
			wanted[n.Tag] = true
		}
	}
	for _, t := range target.tags {
		if _, list := oci.TaggedFor(t.Tag); !wanted[t.Tag] && (!list || !k.Referrers.Travel()) {
			k.Extra++
		}
	}
	// Both sides are asked at the same time for the digests that their listings lack.
	err = place.BySide(ctx,
		func(ctx context.Context) error { return k.resolveSources(ctx, sources, src) },
		func(ctx context.Context) (err error) { dst, lost, err = k.held(ctx, target, wanted); return err })
	if err == nil && k.seen == nil {
		k.seen, k.seenBroken = src, slices.Clone(k.broken)
		if k.copiesByDigest() || k.Trimmer.Trims() {
			src = maps.Clone(src) // entries added below belong to this target alone
		}
	} else {
		for _, step := range k.seenBroken {
			step.To.Repo = k.Of.To
			k.broken = append(k.broken, step)
		}
	}
	if err == nil {
		err = k.addByDigest(ctx, src, dst, lost)
	}
	if err == nil {
		err = k.trim(ctx, src, dst)
	}
	return src, dst, lost, err
}

// trim finds out what of the images in src is copied, and takes those out of it that are not.
func (k *Landing) trim(ctx context.Context, src, dst plan.Inventory) error {
	a, err := k.Trimmer.Images(ctx, k.Into.Session, src, dst, func(n ref.Name) []ref.Name {
		to, _ := k.Of.Targets(n, k.Map) // Merge reports this error
		return to
	})
	if err != nil {
		return err
	}
	k.trims, k.Into.Notes = a.Trims, append(k.Into.Notes, a.Notes...)
	for _, n := range slices.SortedFunc(maps.Keys(a.Lost), ref.Name.Compare) {
		k.addBroken(n, a.Lost[n])
	}
	return nil
}

// list reads the listings of all sources and of the target in parallel. If the sources are known
// already, it reads the listing of the target only.
func (k *Landing) list(ctx context.Context) (sources []listing, target listing, err error) {
	if k.seen != nil {
		target, err = k.listTarget(ctx, k.Of.To)
		return nil, target, err
	}
	sources, target, ok, err := k.incremental(ctx)
	if ok || err != nil {
		return sources, target, err
	}
	listed := time.Now()
	repos := append(slices.Clone(k.Of.From), k.Of.To)
	all := make([]listing, len(repos))
	err = place.Each(ctx, len(repos), place.IndexesOf(repos), func(ctx context.Context, i int) (err error) {
		if i < len(k.Of.From) {
			all[i], err = k.listSource(ctx, repos[i])
		} else {
			all[i], err = k.listTarget(ctx, repos[i])
		}
		return err
	})
	if err == nil { // a tag that was set during the listing may be on a page that was already read
		k.setMark(all[0].tags, time.Time{}, listed, time.Since(listed))
	}
	return all[:len(k.Of.From)], all[len(k.Of.From)], err
}

// Selects lists what is selected of one source. Digests that the listing lacks stay empty.
func (k *Landing) Selects(ctx context.Context, from ref.Repo) (plan.Inventory, error) {
	l, err := k.listSource(ctx, from)
	if err != nil {
		return nil, err
	}
	return k.selected(ctx, l)
}

func (k *Landing) listSource(ctx context.Context, repo ref.Repo) (l listing, err error) {
	if l.at, err = k.Into.Session.Source(ctx, repo); err == nil {
		err = l.read(ctx)
	}
	if err == nil {
		k.Into.Session.NoteTags(repo, l.each)
	}
	if k.hasNoTags(ctx, repo, l, err) {
		l.tags, err = nil, k.leaveOut(repo)
	}
	if err != nil {
		k.setTroubled(repo)
	}
	if fault.Is(err, fault.NotFound) && k.Named[repo] && !repo.IsLayout() && fault.HintOf(err) == "" {
		below := "to name all repositories below a prefix, end it with a slash: " + repo.String() + "/"
		hint := cmp.Or(nearest.Repositories(ctx, k.Into.Session, repo, below), "check the spelling of the repository")
		err = &fault.Fault{Kind: fault.NotFound, Err: err, Hint: hint}
	}
	return l, fault.On(fault.Source, err)
}

// hasNoTags reports whether l and err, from listing the tags of a repository that the registry itself
// lists, mean that the repository has no tags, as after an interrupted push. If the token of the login
// does not allow to pull from it, an error proves nothing. It may have content to copy by digest.
func (k *Landing) hasNoTags(ctx context.Context, repo ref.Repo, l listing, err error) bool {
	switch {
	case !k.Cataloged[repo]:
		return false
	case err == nil:
		return len(l.tags) == 0 && !k.copiesByDigest()
	case repo.IsLayout() || !k.Base.IsAbsent(repo, err):
		return false
	case k.Base.Elsewhere(repo):
		missing, _, _ := k.Into.Session.Own(fault.Source, repo, remote.Pull).Granted(ctx)
		return len(missing) == 0
	}
	return true
}

// leaveOut leaves out a repository without tags. With Strict, it returns an error instead.
func (k *Landing) leaveOut(repo ref.Repo) error {
	if k.Strict {
		return &fault.Fault{
			Kind: fault.NotFound, Op: "list tags of", Name: repo.String(),
			Hint: "remove the repository at the source, exclude it, or accept it without " + k.Base.Words.Strict(),
			Err:  errors.New("the source lists this repository, but it has no tags"),
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Into.Empty = append(k.Into.Empty, repo)
	return nil
}

// listTarget returns an empty listing only if the registry clearly says that the repository does
// not exist.
func (k *Landing) listTarget(ctx context.Context, repo ref.Repo) (l listing, err error) {
	if place.Absent(repo) {
		return listing{}, nil
	}
	if l.at, err = k.Into.Session.Target(ctx, repo, layout.Read); err != nil {
		return l, err
	}
	if err = l.read(ctx); k.Base.IsAbsent(repo, err) {
		return listing{at: l.at}, nil
	}
	return l, fault.On(fault.Target, err)
}

func (l *listing) read(ctx context.Context) error {
	return l.at.List(ctx, func(t oci.Listed) error {
		l.tags = append(l.tags, t)
		return nil
	})
}

// each visits the tags of the listing.
func (l *listing) each(yield func(string, oci.Descriptor) bool) {
	for _, t := range l.tags {
		if !yield(t.Tag, t.Descriptor) {
			return
		}
	}
}

// selected returns the tags that are to be copied. Digests that the listing lacks stay empty.
func (k *Landing) selected(ctx context.Context, s listing) (plan.Inventory, error) {
	left, err := referrers.WithoutLists(ctx, k.Into.Session, k.Referrers, s.at, s.tags)
	if err != nil {
		return nil, err
	}
	maps.Copy(k.lists, left.Lists)
	sel, repo, tags := k.Selection, s.at.Repo(), left.Kept
	s.tags = tags
	if running := k.InUse.Of(repo); running != nil {
		if len(running.Digests) > 0 {
			candidates, _, err := sel.Candidates(ctx, cmp.Or(repo.Path, repo.Dir), tags)
			if err == nil {
				err = k.findDigests(ctx, s, candidates)
			}
			if err != nil {
				return nil, err
			}
		}
		sel.Running = running
	}
	if sel.NeedsTimes() {
		candidates, _, err := sel.Candidates(ctx, cmp.Or(repo.Path, repo.Dir), tags)
		if err != nil {
			return nil, err
		}
		if err := k.findTimes(ctx, s, candidates); err != nil {
			return nil, err
		}
	}
	kept, why, err := sel.Tags(ctx, cmp.Or(repo.Path, repo.Dir), tags)
	k.idle.Saw(ctx, repo, sel, k.Map, tags, kept)
	if s.part {
		k.idle.Part()
	}
	if k.Explained {
		k.Into.Explains = append(k.Into.Explains, why)
	}
	k.Into.Notes = append(k.Into.Notes, why.Warnings...)
	inv := make(plan.Inventory, len(kept))
	for _, t := range kept {
		inv[repo.Tagged(t.Tag)] = t.Descriptor
	}
	for n, why := range left.TakeUnsure(inv, repo, nil) {
		k.addBroken(n, why)
	}
	return inv, err
}

// resolveSources asks for the digests that src lacks. A tag that does not exist, or that could not be
// looked up, becomes a Broken step. With SkipBroken, it asks for all tags, and leaves out those that do
// not exist.
func (k *Landing) resolveSources(ctx context.Context, sources []listing, src plan.Inventory) error {
	places := map[ref.Repo]place.Repository{} // none if another landing has asked already
	for _, s := range sources {
		places[s.at.Repo()] = s.at
	}
	var open []ref.Name
	for n, desc := range src {
		if desc.Digest == "" || k.SkipBroken && n.Tag != "" && places[n.Repo] != nil {
			open = append(open, n)
		}
	}
	found, lost, err := k.resolve(ctx, fault.Source, open, func(n ref.Name) place.Repository { return places[n.Repo] })
	if err != nil {
		return err
	}
	maps.Copy(src, found)
	for _, n := range slices.SortedFunc(slices.Values(open), ref.Name.Compare) {
		err, failed := lost[n]
		_, exists := found[n]
		if exists {
			continue
		}
		delete(src, n)
		switch {
		case failed:
			k.addBroken(n, err)
		case k.SkipBroken:
			k.Into.Skipped = append(k.Into.Skipped, n)
		default:
			k.addBroken(n, gone(n, k.Base.Words))
		}
	}
	return nil
}

// addBroken adds a Broken step for each target name of the source n.
func (k *Landing) addBroken(n ref.Name, err error) {
	targets, bad := k.Of.Targets(n, k.Map)
	if bad != nil || len(targets) == 0 {
		targets = []ref.Name{k.Of.To.Tagged(n.Tag)}
	}
	for _, to := range targets {
		k.broken = append(k.broken, plan.Step{Action: plan.Broken, From: n, To: to, Problem: plan.ProblemOf(err)})
	}
}

// held finds out what the target has under the wanted tags. lost holds the names that could not be
// looked up.
func (k *Landing) held(
	ctx context.Context, target listing, wanted map[string]bool,
) (dst plan.Inventory, lost map[ref.Name]error, err error) {
	dst = plan.Inventory{}
	repo := k.Of.To
	var open []ref.Name
	listed := map[string]bool{}
	for _, t := range target.tags {
		if listed[t.Tag] = true; !wanted[t.Tag] {
			continue
		}
		if t.Descriptor.Digest == "" {
			open = append(open, repo.Tagged(t.Tag))
		} else {
			dst[repo.Tagged(t.Tag)] = t.Descriptor
		}
	}
	if tells, complete := k.Base.ListsDigests(repo.Host); tells && !complete || target.part {
		for tag := range wanted {
			if !listed[tag] {
				open = append(open, repo.Tagged(tag)) // this registry's listing may lag behind
			}
		}
	}
	found, lost, err := k.resolve(ctx, fault.Target, open, func(ref.Name) place.Repository { return target.at })
	maps.Copy(dst, found)
	return dst, lost, err
}

// Merge compares both sides and makes the steps.
func (k *Landing) Merge(
	ctx context.Context, src, dst plan.Inventory, lost map[ref.Name]error,
) ([]plan.Step, error) {
	steps, err := k.Of.Merge(ctx, src, dst, plan.Merge{Verb: "transfer", Overwrite: k.Overwrite, Tags: k.Map,
		Trims: k.trims, Rank: k.Rank})
	if err != nil {
		return nil, err
	}
	for i, s := range steps {
		if err, unknown := lost[TargetOf(s)]; unknown && s.Action != plan.Broken {
			steps[i].Action, steps[i].Problem = plan.Broken, plan.ProblemOf(err)
		}
	}
	return append(steps, k.broken...), nil
}
