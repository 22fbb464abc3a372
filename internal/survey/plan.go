package survey

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Import plans an import: one HEAD for the source, and one for each target.
func Import(ctx context.Context, s *place.Session, names *name.Reader, req name.Request, r Rules) (*Draft, error) {
	p := r.draft(s)
	if len(req.Tags) == 0 && len(req.Map.Pairs) == 0 && req.SourceRegistry == "" {
		var err error
		if req.Source, err = s.NamedText(ctx, req.Source); err != nil {
			return nil, err
		}
	}
	n, err := names.Import(req, name.AsAz)
	if err != nil {
		return nil, err
	}
	if err := CheckRules(r); err != nil {
		return nil, err
	}
	if len(n.Tags) == 0 {
		return p, p.planOne(ctx, n.Source, n.Targets)
	}
	wants, err := tagWants(ctx, n.Source.Repo, n.Tags, n.Targets, r.Map, r.Overwrite)
	if err != nil {
		return nil, err
	}
	return p, p.planMany(ctx, wants)
}

// List is what a batch copies.
type List struct {
	Name    string // for errors; "" means none
	Entries []plan.Entry
	Target  string // the registry of an entry that names none
}

// Batch plans each entry of l independently.
func Batch(ctx context.Context, s *place.Session, names *name.Reader, l List, r Rules) (*Draft, error) {
	p := r.draft(s)
	if err := CheckRules(r); err != nil {
		return nil, err
	}
	wants := make([]want, len(l.Entries))
	for i, e := range l.Entries {
		var n name.Named
		source, err := s.NamedText(ctx, e.Source)
		if err == nil {
			e.Source = source
			n, err = names.Entry(e, l.Target)
		}
		err = cmp.Or(err, e.Own.Check(), s.KnowsGates(e.Gates))
		wants[i] = want{source: n.Source, targets: n.Targets, overwrite: cmp.Or(e.Overwrite, p.Overwrite), own: e.Own}
		if err != nil {
			asked := fault.WithoutLogins(strings.TrimSpace(e.Source + " " + strings.Join(e.Targets, " ")))
			wants[i] = want{asked: asked, err: l.at(e, err)}
		}
	}
	if err := p.planMany(ctx, wants); err != nil || !p.skipBroken {
		return p, err
	}
	return p, p.skipGone(ctx)
}

// Divide divides l into parts that can be planned and applied on their own, as indexes of the entries. Entries with one
// source repository are in one part. If two entries have the same target, only a plan of the whole list can tell
// whether they collide, so that there is one part.
func (l List) Divide(names *name.Reader) [][]int {
	type from struct {
		source ref.Name
		own    string
	}
	all, sources, targets := place.IndexesOf(l.Entries), make([]ref.Repo, len(l.Entries)), map[ref.Name]from{}
	for i, e := range l.Entries {
		n, err := names.Noting(nil).Entry(e, l.Target)
		if err != nil {
			continue // it becomes a Broken step
		}
		sources[i] = n.Source.Repo
		for _, to := range n.Targets {
			mine := from{n.Source, keyOf(e.Own) + string(e.Overwrite)}
			other, twice := targets[to]
			if n.Source.IsLayout() || to.IsLayout() || twice && to.Tag != "" && other != mine {
				return [][]int{all}
			}
			targets[to] = mine
		}
	}
	return crew.Parts(crew.By(all, func(i int) ref.Repo { return sources[i] }))
}

// Copy plans the copy of one image or, depending on which, of several tags of its repository.
func Copy(
	ctx context.Context, s *place.Session, source ref.Name, targets []ref.Name, which plan.Tags, r Rules,
) (*Draft, error) {
	p := r.draft(s)
	if err := CheckRules(r); err != nil {
		return nil, err
	}
	if err := r.Map.Check(); err != nil {
		return nil, err
	}
	if which == plan.AllTags || which == plan.Sharing {
		return p, p.tagsOf(ctx, source, targets, which, r.Map)
	}
	source, err := s.Named(ctx, name.WithLatest(source))
	if err != nil {
		return nil, err
	}
	if renames(r.Map) && (source.Tag == "" || !slices.ContainsFunc(targets, isUntagged)) {
		return nil, fault.Misuse("copy", source.String(),
			"a map has no effect, because each target names its tag or the source names none",
			"leave the tags of the targets out, or the map")
	}
	if targets, err = name.Spread(source, targets, r.Map); err != nil {
		return nil, err
	}
	for i := range targets {
		if targets[i].Tag == "" && source.Tag == "" && targets[i].HasTags() {
			p.Notes = append(p.Notes, fmt.Sprintf("%s: it is copied to %s without a tag",
				name.Tagless(source), targets[i].Repo.At(source.Digest)))
		}
		if targets[i].HasTags() {
			targets[i].Tag = cmp.Or(targets[i].Tag, source.Tag)
		}
	}
	return p, p.planOne(ctx, source, targets)
}

// Tag plans additional tags for an image, in the image's own repository. name.Reader.Tag has read the names.
func Tag(ctx context.Context, s *place.Session, image ref.Name, tags []string, r Rules) (*Draft, error) {
	p := r.draft(s)
	if renames(r.Map) {
		s.Aim(image.Repo, image.Repo)
		keys, err := mapped(ctx, s, image.Repo, r.Map)
		if err != nil {
			return nil, err
		}
		wants, err := tagWants(ctx, image.Repo, keys, []ref.Name{image.Repo.Tagged("")}, r.Map, plan.Update)
		if err != nil {
			return nil, err
		}
		return p, p.planMany(ctx, wants)
	}
	p.Hold = plan.All
	image = name.WithLatest(image)
	s.Aim(image.Repo, image.Repo)
	src, err := Read(ctx, s, image)
	if err != nil {
		return nil, err
	}
	var targets []ref.Name
	for _, tag := range tags {
		targets = append(targets, image.Tagged(tag))
	}
	p.Steps, err = plan.Make(ctx, src, plan.Inventory{image: src[image]}, plan.Rules{
		Overwrite: plan.Update,
		Targets:   func(ref.Name) []ref.Name { return targets },
	})
	return p, err
}

func isUntagged(n ref.Name) bool { return n.Tag == "" }

// renames reports whether m gives new names to tags.
func renames(m plan.TagMap) bool { return len(m.Pairs) > 0 || len(m.Rename) > 0 }

// at adds the line of e in l to err. Line 0 adds nothing.
func (l List) at(e plan.Entry, err error) error {
	if e.Line == 0 {
		return err
	}
	return &fault.Fault{
		Kind: fault.KindOf(err), Op: "read list", Name: strings.TrimSpace(fmt.Sprintf("%s line %d", l.Name, e.Line)),
		Hint: fault.HintOf(err), Err: err,
	}
}

// mapped lists the tags to which m gives another name: the keys of m and, if m renames by an
// expression, the tags of repo that the expression changes.
func mapped(ctx context.Context, s *place.Session, repo ref.Repo, m plan.TagMap) ([]string, error) {
	tags := m.Keys()
	if len(m.Rename) == 0 {
		return tags, nil
	}
	at, err := s.Source(ctx, repo)
	if err != nil {
		return nil, err
	}
	err = at.List(ctx, func(l oci.Listed) error {
		to, err := m.Rename.Apply(l.Tag, ref.MaxTag)
		if err == nil && to != l.Tag && !oci.IsDigestTag(l.Tag) {
			tags = append(tags, l.Tag)
		}
		return cmp.Or(err, ctx.Err())
	})
	return tags, fault.On(fault.Source, err)
}

// planOne plans a single source name.
func (p *Draft) planOne(ctx context.Context, source ref.Name, targets []ref.Name) error {
	repos := make([]ref.Repo, len(targets))
	for i, to := range targets {
		repos[i] = to.Repo
	}
	p.Hold = plan.All
	p.session.Aim(source.Repo, repos...)
	src, dst, err := p.survey(ctx, source, targets)
	if err != nil {
		return err
	}
	of := func(ref.Name) []ref.Name { return targets }
	trims, lost, err := p.trim(ctx, p.Platforms, src, dst, of)
	if err = cmp.Or(err, lost[source]); err != nil {
		return err
	}
	p.Steps, err = plan.Make(ctx, src, dst, plan.Rules{Overwrite: p.Overwrite, Trims: trims, Targets: of})
	return cmp.Or(err, p.checkTargets(ctx))
}

// survey looks at both sides in parallel. Within one registry it looks at the target first. If the
// target name is free, the manifest of the source is needed anyway, so the source is read at once,
// without a HEAD request before.
func (p *Draft) survey(
	ctx context.Context, source ref.Name, targets []ref.Name,
) (src, dst plan.Inventory, err error) {
	s := p.session
	byDigest := slices.ContainsFunc(targets, func(n ref.Name) bool { return n.Tag == "" })
	oneRegistry := !slices.ContainsFunc(targets, func(n ref.Name) bool { return n.Host != source.Host })
	switch {
	case byDigest: // the digest must be known before the target can be asked for it
		if src, err = Source(ctx, s, source); err == nil {
			dst, err = p.targets(ctx, targets, src[source].Digest)
		}
	case oneRegistry:
		if dst, err = p.targets(ctx, targets, ""); err != nil {
			break
		}
		if len(dst) < len(targets) {
			src, err = Read(ctx, s, source)
		} else {
			src, err = Source(ctx, s, source)
		}
	default:
		err = place.BySide(ctx,
			func(ctx context.Context) (err error) { src, err = Source(ctx, s, source); return err },
			func(ctx context.Context) (err error) { dst, err = p.targets(ctx, targets, ""); return err })
	}
	return src, dst, err
}

// tagsOf plans all tags of a repository, or all tags that have the same digest.
func (p *Draft) tagsOf(ctx context.Context, source ref.Name, targets []ref.Name, which plan.Tags, m plan.TagMap) error {
	names := targets
	if which == plan.AllTags {
		names = append(slices.Clone(targets), source)
	}
	for _, n := range names {
		if n.Tag != "" || n.Digest != "" {
			return fault.Misuse("copy", n.String(), "several tags are copied to a repository, but this names one image",
				"leave the tag off")
		}
	}
	repos := make([]ref.Repo, len(targets))
	for i, to := range targets {
		repos[i] = to.Repo
	}
	p.session.Aim(source.Repo, repos...)
	list, held, err := lists(ctx, p.session, source.Repo, repos)
	if err != nil {
		return err
	}
	if which == plan.AllTags {
		if err := list.leaveListsOut(ctx, p.session, p.Referrers); err != nil {
			return err
		}
	}
	if p.skipBroken && which == plan.AllTags {
		list.doubt()
	}
	if which == plan.Sharing {
		if err := askSource(ctx, &list); err != nil {
			return err
		}
		list.noteGone(p.session)
		if list, err = p.sharing(ctx, name.WithLatest(source), list); err != nil {
			return err
		}
	}
	to := map[ref.Name][]ref.Name{}
	wanted := map[string]bool{}
	wants, err := tagWants(ctx, source.Repo, list.tags(), targets, m, p.Overwrite)
	if err != nil {
		return err
	}
	for _, w := range wants {
		to[w.source] = w.targets
		for _, n := range w.targets {
			wanted[n.Tag] = true
		}
	}
	var dst plan.Inventory
	err = place.BySide(ctx,
		func(ctx context.Context) error { return askSource(ctx, &list) },
		func(ctx context.Context) (err error) { dst, err = heldBy(ctx, p.session, held, wanted); return err })
	if err != nil {
		return err
	}
	of := func(from ref.Name) []ref.Name { return to[from] }
	trims, lost, err := p.trim(ctx, p.Platforms, list.told, dst, of)
	if err != nil {
		return err
	}
	lost = list.takeUnsure(lost)
	p.Steps, err = plan.Make(ctx, list.told, dst, plan.Rules{Overwrite: p.Overwrite, Trims: trims, Targets: of})
	if err == nil {
		err = referrers.KeepOwn(ctx, p.session, p.Steps, p.Overwrite)
	}
	if err = cmp.Or(err, p.checkTargets(ctx)); err == nil {
		p.addGone(list.gone, to)
		for _, n := range slices.SortedFunc(maps.Keys(lost), ref.Name.Compare) {
			for _, target := range to[n] {
				p.Steps = append(p.Steps, want{source: n}.broken(target, lost[n]))
			}
		}
	}
	return err
}

// addGone adds a Broken step for each target name of tags that are listed, but do not exist, or a note
// with SkipBroken.
func (p *Draft) addGone(tags []ref.Name, to map[ref.Name][]ref.Name) {
	for _, n := range tags {
		if p.skipBroken {
			p.Notes = append(p.Notes, goneNote(n))
			continue
		}
		problem := plan.ProblemOf(Gone(n, p.session.Base.Words))
		for _, target := range to[n] {
			p.Steps = append(p.Steps, plan.Step{Action: plan.Broken, From: n, To: target, Problem: problem})
		}
	}
}

// lists reads the listings of the source and of all targets in parallel.
func lists(
	ctx context.Context, s *place.Session, source ref.Repo, targets []ref.Repo,
) (from tagList, to []tagList, err error) {
	to = make([]tagList, len(targets))
	err = place.BySide(ctx,
		func(ctx context.Context) (err error) { from, err = sourceList(ctx, s, source); return err },
		func(ctx context.Context) error {
			return place.Each(ctx, place.Lookups, place.IndexesOf(targets), func(ctx context.Context, i int) (err error) {
				to[i], err = targetList(ctx, s, targets[i])
				return err
			})
		})
	return from, to, err
}

// sharing keeps the tags of list that have the same digest as image.
func (p *Draft) sharing(ctx context.Context, image ref.Name, list tagList) (tagList, error) {
	found, err := Source(ctx, p.session, image)
	if err != nil {
		return tagList{}, err
	}
	kept := tagList{at: list.at, told: plan.Inventory{}}
	for n, desc := range list.told {
		if desc.Digest == found[image].Digest {
			kept.told[n] = desc
		}
	}
	if len(kept.told) == 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("no tag of %s has the digest %s", image.Repo, found[image].Digest))
	}
	return kept, nil
}
