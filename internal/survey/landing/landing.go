package landing

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// NewLanding returns the survey of l, which writes its result into p.
func NewLanding(s *Scope, l plan.Landing, p *Surveyed) *Landing {
	return &Landing{Scope: s, Of: l, Into: p, at: l.From[0]}
}

// After reuses what another survey found in the same sources. It does nothing useful if that survey
// did not get as far as reading the sources.
func (k *Landing) After(other *Landing) { k.from = other.from }

// SawSources reports whether the survey has read the sources.
func (k *Landing) SawSources() bool { return k.from != nil }

// Troubled returns the source to name next to the target in an error.
func (k *Landing) Troubled() ref.Name { return k.at.Tagged("") }

// Survey finds out what is to be copied, and what the target has under these names.
func (k *Landing) Survey(ctx context.Context) error {
	listed, target, err := k.list(ctx)
	if err != nil {
		return err
	}
	from := k.from
	if from == nil {
		if from, err = k.choose(ctx, listed); err != nil {
			return err
		}
	}
	for i := range target.tags.Len() {
		tag := target.tags.Tag(i)
		if _, list := oci.TaggedFor(tag); !from.wants.Has(tag) && (!list || !k.Referrers.Travel()) {
			k.Extra++
		}
	}
	k.target = target
	// Both sides are asked at the same time for the digests that their listings lack.
	err = place.BySide(ctx,
		func(ctx context.Context) error { return k.resolveSources(ctx, from) },
		func(ctx context.Context) error { return k.held(ctx, from.wants) })
	if err == nil {
		k.from = from
	}
	return err
}

// Wants reads the listings of the sources, and returns what is selected of them. Digests that the listings lack stay
// empty.
func (k *Landing) Wants(ctx context.Context) (*listing.Wants, error) {
	var all []listed
	for _, repo := range k.Of.From {
		l, err := k.listSource(ctx, repo)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	from, err := k.choose(ctx, all)
	if err != nil {
		return nil, err
	}
	return from.wants, nil
}

// choose selects the tags of the sources.
func (k *Landing) choose(ctx context.Context, all []listed) (*sources, error) {
	from := &sources{at: map[ref.Repo]place.Repository{}, lists: map[oci.Digest]bool{}, unsure: map[ref.Name]error{}}
	var sides []listing.Side
	for _, l := range all {
		kept, err := k.selected(ctx, l, from)
		if err != nil {
			k.at = l.at.Repo()
			return nil, err
		}
		from.at[l.at.Repo()] = l.at
		sides = append(sides, listing.Side{Repo: l.at.Repo(), List: l.tags, Kept: kept})
	}
	targets := func(n ref.Name) ([]ref.Name, error) { return k.Of.Targets(n, k.Map) }
	var err error
	from.wants, err = listing.Choose(sides, targets, func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	})
	return from, err
}

// list reads the listings of all sources and of the target in parallel. If the sources are known
// already, it reads the listing of the target only.
func (k *Landing) list(ctx context.Context) (sources []listed, target listed, err error) {
	if k.from != nil {
		target, err = k.listTarget(ctx, k.Of.To)
		return nil, target, err
	}
	sources, target, ok, err := k.incremental(ctx)
	if ok || err != nil {
		return sources, target, err
	}
	began := time.Now()
	repos := append(slices.Clone(k.Of.From), k.Of.To)
	all := make([]listed, len(repos))
	err = place.Each(ctx, len(repos), place.IndexesOf(repos), func(ctx context.Context, i int) (err error) {
		if i < len(k.Of.From) {
			all[i], err = k.listSource(ctx, repos[i])
		} else {
			all[i], err = k.listTarget(ctx, repos[i])
		}
		return err
	})
	if err == nil { // a tag that was set during the listing may be on a page that was already read
		k.setMark(all[0].tags, time.Time{}, began, time.Since(began))
	}
	return all[:len(k.Of.From)], all[len(k.Of.From)], err
}

func (k *Landing) listSource(ctx context.Context, repo ref.Repo) (l listed, err error) {
	if l.at, err = k.Into.Session.Source(ctx, repo); err == nil {
		err = l.read(ctx, listing.Times(k.Selection.UsesTimes() || k.Incremental))
	}
	if err == nil {
		k.Into.Session.NoteTags(repo, l.tags.Get)
	}
	if k.hasNoTags(ctx, repo, l, err) {
		l.tags, err = listing.New(listing.WithoutTimes), k.leaveOut(repo)
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
func (k *Landing) hasNoTags(ctx context.Context, repo ref.Repo, l listed, err error) bool {
	switch {
	case !k.Cataloged[repo]:
		return false
	case err == nil:
		return l.tags.Len() == 0 && !k.copiesByDigest()
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
func (k *Landing) listTarget(ctx context.Context, repo ref.Repo) (l listed, err error) {
	if place.Absent(repo) {
		return listed{}, nil
	}
	if l.at, err = k.Into.Session.Target(ctx, repo, layout.Read); err != nil {
		return l, err
	}
	if err = l.read(ctx, listing.WithoutTimes); k.Base.IsAbsent(repo, err) {
		return listed{at: l.at}, nil
	}
	return l, fault.On(fault.Target, err)
}

func (l *listed) read(ctx context.Context, times listing.Times) error {
	l.tags = listing.New(times)
	err := l.at.List(ctx, func(t oci.Listed) error { l.tags.Add(t); return nil })
	l.tags.Sort()
	return err
}

// selected returns the tags that are to be copied.
func (k *Landing) selected(ctx context.Context, s listed, from *sources) ([]int32, error) {
	lists, err := referrers.Lists(ctx, k.Into.Session, k.Referrers, s.at, s.tags)
	if err != nil {
		return nil, err
	}
	if len(lists.Tags) > 0 {
		s.tags.Drop(func(tag string) bool { return lists.Tags[tag] })
	}
	maps.Copy(from.lists, lists.Digests)
	sel, repo := k.Selection, s.at.Repo()
	for tag, why := range lists.Unsure {
		from.unsure[repo.Tagged(tag)] = why
	}
	path := cmp.Or(repo.Path, repo.Dir)
	if running := k.InUse.Of(repo); running != nil {
		if len(running.Digests) > 0 {
			candidates, err := sel.ChooseByName(ctx, path, s.tags)
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
		candidates, err := sel.ChooseByName(ctx, path, s.tags)
		if err != nil {
			return nil, err
		}
		if err := k.findTimes(ctx, s, candidates); err != nil {
			return nil, err
		}
	}
	detail := plan.StagesOnly
	if k.Explained {
		detail = plan.EachName
	}
	kept, why, err := sel.Choose(ctx, path, s.tags, detail)
	k.idle.Saw(ctx, repo, sel, k.Map, s.tags, kept)
	if s.part {
		k.idle.Part()
	}
	if k.Explained {
		k.Into.Explains = append(k.Into.Explains, why)
	}
	k.Into.Notes = append(k.Into.Notes, why.Warnings...)
	return kept, err
}

// resolveSources asks for the digests that the listings lack. A tag that does not exist, or that could not be
// looked up, becomes a Broken step. With SkipBroken, it asks for all tags, and leaves out those that do
// not exist.
func (k *Landing) resolveSources(ctx context.Context, from *sources) error {
	if from == k.from {
		return nil // another landing has asked already
	}
	from.failed, from.skipped = map[listing.Place]error{}, map[listing.Place]bool{}
	open, tells := from.open(k.SkipBroken)
	name := func(i int) ref.Name { return from.wants.Name(open[i]) }
	at := func(n ref.Name) place.Repository { return from.at[n.Repo] }
	err := k.lookUp(ctx, fault.Source, len(open), name, at, func(i int, d oci.Descriptor, err error) {
		p := open[i]
		switch {
		case d.Digest != "":
			from.wants.Sides[p.Side].List.Set(int(p.At), d)
			return
		case err == nil && k.SkipBroken:
			k.Into.Skipped = append(k.Into.Skipped, from.wants.Name(p))
			from.skipped[p] = true
		default:
			from.failed[p] = err
		}
		tells[p] = err != nil || !k.SkipBroken
	})
	if err != nil {
		return err
	}
	slices.SortFunc(k.Into.Skipped, ref.Name.Compare)
	from.wants.Settle(tells, func(to string, places []listing.Place) (listing.Place, error) {
		return k.best(from.wants, to, places)
	})
	return nil
}

// open returns the places that are to be looked up: all, or those whose digests the listings lack. Those of which
// nobody knows whether they list referrers have failed, and tells has them.
func (from *sources) open(all bool) (open []listing.Place, tells map[listing.Place]bool) {
	tells = map[listing.Place]bool{}
	for s, side := range from.wants.Sides {
		for _, at := range side.Kept {
			p := listing.Place{Side: int32(s), At: at}
			if why := from.unsure[side.Repo.Tagged(side.List.Tag(int(at)))]; why != nil {
				from.failed[p], tells[p] = why, true
			} else if all || !side.List.Known(int(at)) {
				open = append(open, p)
			}
		}
	}
	return open, tells
}

// best returns which of several sources a tag of the target gets. The error says that two of them differ.
func (k *Landing) best(w *listing.Wants, to string, places []listing.Place) (listing.Place, error) {
	var names []ref.Name
	for _, p := range places {
		names = append(names, w.Name(p))
	}
	best, err := k.merge().Choose(k.Of.To.Tagged(to), names, w.Inventory(places))
	return places[slices.Index(names, best)], err
}

func (k *Landing) merge() plan.Merge {
	return plan.Merge{Verb: "transfer", Overwrite: k.Overwrite, Tags: k.Map, Rank: k.Rank}
}

// held finds out what the target has under the wanted tags.
func (k *Landing) held(ctx context.Context, wants *listing.Wants) error {
	k.late, k.lost = map[string]oci.Descriptor{}, map[string]error{}
	target, repo := k.target, k.Of.To
	var open []string
	lags := target.part
	if tells, complete := k.Base.ListsDigests(repo.Host); tells && !complete {
		lags = true
	}
	for tag := range wants.Tags {
		i, there := target.tags.Find(tag)
		if there && !target.tags.Known(i) || !there && lags {
			open = append(open, tag)
		}
	}
	at := func(ref.Name) place.Repository { return target.at }
	name := func(i int) ref.Name { return repo.Tagged(open[i]) }
	return k.lookUp(ctx, fault.Target, len(open), name, at, func(n int, d oci.Descriptor, err error) {
		if err != nil {
			k.lost[open[n]] = err
		} else if i, there := target.tags.Find(open[n]); there && d.Digest != "" {
			target.tags.Set(i, d)
		} else if d.Digest != "" {
			k.late[open[n]] = d
		}
	})
}

// has returns what the target has under a tag; the zero Descriptor if it has nothing.
func (k *Landing) has(tag string) oci.Descriptor {
	if i, there := k.target.tags.Find(tag); there {
		return k.target.tags.Descriptor(i)
	}
	return k.late[tag]
}
