package survey

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// want is one source name and its targets.
type want struct {
	source    ref.Name
	targets   []ref.Name
	overwrite plan.Overwrite
	own       plan.Own
	asked     string             // the text of the request, if it could not be parsed
	err       error              // why the source is not known
	lost      map[ref.Name]error // targets that could not be looked up
}

// broken returns the step of a want that cannot be planned. to is the zero value if the targets are
// not known.
func (w want) broken(to ref.Name, err error) plan.Step {
	return plan.Step{Action: plan.Broken, Asked: w.asked, From: w.source, To: to, Problem: plan.ProblemOf(err)}
}

// planMany plans wants that are independent of each other. A name that cannot be looked up becomes a
// Broken step and does not stop the others.
func (p *Draft) planMany(ctx context.Context, wants []want) error {
	for _, w := range wants {
		for _, to := range w.targets {
			p.session.Aim(w.source.Repo, to.Repo)
		}
	}
	src, err := p.sources(ctx, wants)
	if err != nil {
		return err
	}
	dst := plan.Inventory{}
	if p.Verb != "tag" {
		if dst, err = p.surveyWanted(ctx, wants, src); err != nil {
			return err
		}
	}
	all := make([]*want, len(wants))
	for i := range wants {
		all[i] = &wants[i]
	}
	for _, alike := range crew.By(all, func(w *want) string { return keyOf(w.own) }) {
		if err := p.planAlike(ctx, alike, src, dst); err != nil {
			return err
		}
	}
	if err := p.checkTargets(ctx); err != nil {
		return err
	}
	for _, w := range wants {
		if w.err != nil && len(w.targets) == 0 {
			p.Steps = append(p.Steps, w.broken(ref.Name{}, w.err))
		}
		for _, to := range w.targets {
			if err := cmp.Or(w.err, w.lost[to]); err != nil {
				p.Steps = append(p.Steps, w.broken(to, err))
			}
		}
	}
	return collisions(p.Steps)
}

func keyOf(o plan.Own) string {
	raw, _ := json.Marshal(o) // cannot fail: all of it is text; equal for equal choices
	return string(raw)
}

// planAlike adds the steps of wants that ask the same for their images, and writes into them why one is not copied.
func (p *Draft) planAlike(ctx context.Context, wants []*want, src, dst plan.Inventory) error {
	some, to := plan.Inventory{}, map[ref.Name][]ref.Name{}
	for _, w := range wants {
		if desc, known := src[w.source]; known && w.err == nil {
			some[w.source] = desc
			to[w.source] = append(to[w.source], w.targets...)
		}
	}
	of := func(n ref.Name) []ref.Name { return to[n] }
	trims, lost, err := p.trim(ctx, wants[0].own.Platforms.Or(p.Platforms), some, dst, of)
	if err != nil {
		return err
	}
	for _, w := range wants {
		w.err = cmp.Or(w.err, lost[w.source])
	}
	for _, ow := range []plan.Overwrite{plan.Refuse, plan.Update, plan.Always} {
		if err := p.planOverwrite(ctx, wants, some, dst, trims, ow); err != nil {
			return err
		}
	}
	return nil
}

// planOverwrite adds the steps of the wants whose overwrite rule is ow.
func (p *Draft) planOverwrite(
	ctx context.Context, wants []*want, src, dst plan.Inventory, trims plan.Trims, ow plan.Overwrite,
) error {
	targets := map[ref.Name][]ref.Name{}
	some := plan.Inventory{}
	for _, w := range wants {
		desc, copied := src[w.source]
		if copied && w.err == nil && w.overwrite == ow {
			some[w.source] = desc
			for _, to := range w.targets {
				if w.lost[to] == nil {
					targets[w.source] = append(targets[w.source], to)
				}
			}
		}
	}
	of := func(n ref.Name) []ref.Name { return targets[n] }
	steps, err := plan.Make(ctx, some, dst, plan.Rules{Overwrite: ow, Trims: trims, Targets: of})
	for i := range steps {
		steps[i].Own = wants[0].own
		if ow != p.Overwrite {
			steps[i].Overwrite = ow
		}
	}
	p.Steps = append(p.Steps, steps...)
	return err
}

// collisions refuses steps that bring different content to one name. plan.Make cannot see these,
// since each of its calls gets only a part of the wants.
func collisions(steps []plan.Step) error {
	seen := map[ref.Name]int{}
	for i, s := range steps {
		if s.Action == plan.Broken {
			continue
		}
		key := s.To
		if key.Tag == "" {
			key.Digest = s.From.Digest
		}
		other, twice := seen[key]
		if twice && steps[other].From == s.From && keyOf(steps[other].Own) != keyOf(s.Own) {
			return fault.Misuse("plan", key.String(), "the list names this target twice, with different options",
				"keep one of the entries")
		}
		if twice && steps[other].Digest() != s.Digest() {
			cause := fmt.Sprintf("two sources with different content have this target: %s and %s",
				steps[other].From, s.From)
			return fault.Misuse("plan", key.String(), cause, "give each source its own target tag")
		}
		seen[key] = i
	}
	return nil
}

// sources looks at every source once, and writes its error into the wants. Many names are looked up
// in listings. For the verb tag the manifest is read, since it is put again under the new tag.
func (p *Draft) sources(ctx context.Context, wants []want) (plan.Inventory, error) {
	var names []ref.Name
	known := map[ref.Name]bool{} // several lines of a list may name the same source
	for _, w := range wants {
		if w.err == nil && !known[w.source] {
			known[w.source] = true
			names = append(names, w.source)
		}
	}
	var mu sync.Mutex
	inv, failed := plan.Inventory{}, map[ref.Name]error{}
	if p.Verb != "tag" && !p.skipBroken {
		var err error
		if inv, names, err = listSources(ctx, p.session, names); err != nil {
			return nil, err
		}
	}
	err := place.Each(ctx, place.Lookups, names, func(ctx context.Context, n ref.Name) error {
		found, err := p.lookAtSource(ctx, n)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		mu.Lock()
		defer mu.Unlock()
		inv[n] = found[n]
		if err != nil {
			failed[n] = err
			p.stray[n] = remote.IsStray(err)
		}
		return nil
	})
	for i := range wants {
		wants[i].err = cmp.Or(wants[i].err, failed[wants[i].source])
	}
	return inv, err
}

// skipGone removes the steps of tags that do not exist although their repository lists them, and notes
// their names. A tag that is not listed was asked for by mistake, and stays a Broken step.
func (p *Draft) skipGone(ctx context.Context) error {
	listed := map[ref.Repo]map[string]bool{}
	noted := map[ref.Name]bool{}
	var left []plan.Step
	for _, s := range p.Steps {
		n := s.From
		absent := s.Action == plan.Broken && s.Problem.Kind == fault.NotFound && s.Problem.Side == fault.Source
		if absent && n.Tag != "" && n.Digest == "" && !p.stray[n] {
			tags, known := listed[n.Repo]
			if !known {
				tags = p.tagsAt(ctx, n.Repo)
				listed[n.Repo] = tags
			}
			if tags[n.Tag] {
				if !noted[n] {
					noted[n] = true
					p.Notes = append(p.Notes, goneNote(n))
				}
				continue
			}
		}
		left = append(left, s)
	}
	p.Steps = left
	return context.Cause(ctx)
}

// tagsAt returns the tags that a source lists; none if it cannot be listed.
func (p *Draft) tagsAt(ctx context.Context, repo ref.Repo) map[string]bool {
	list, err := sourceList(ctx, p.session, repo)
	if err != nil {
		return nil
	}
	tags := map[string]bool{}
	for _, tag := range list.tags() {
		tags[tag] = true
	}
	return tags
}

func (p *Draft) lookAtSource(ctx context.Context, n ref.Name) (plan.Inventory, error) {
	if p.Verb == "tag" {
		return Read(ctx, p.session, n)
	}
	return Source(ctx, p.session, n)
}

// surveyWanted looks at every target of the wants whose source is known. It writes into the wants
// the targets that it could not look up.
func (p *Draft) surveyWanted(ctx context.Context, wants []want, src plan.Inventory) (plan.Inventory, error) {
	type look struct {
		want   *want
		name   ref.Name
		digest oci.Digest
	}
	var looks []look
	for i := range wants {
		if wants[i].err != nil {
			continue
		}
		for _, to := range wants[i].targets {
			looks = append(looks, look{&wants[i], to, src[wants[i].source].Digest})
		}
	}
	var names []ref.Name
	for _, l := range looks {
		names = append(names, l.name)
	}
	var mu sync.Mutex
	inv, names, err := listTargets(ctx, p.session, names)
	if err != nil {
		return nil, err
	}
	open := map[ref.Name]bool{}
	for _, n := range names {
		open[n] = true
	}
	looks = slices.DeleteFunc(looks, func(l look) bool { return !open[l.name] })
	err = place.Each(ctx, place.Lookups, looks, func(ctx context.Context, l look) error {
		desc, err := p.target(ctx, l.name, l.digest, l.want.overwrite)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil && !fault.Is(err, fault.Canceled) {
			if l.want.lost == nil {
				l.want.lost = map[ref.Name]error{}
			}
			l.want.lost[l.name] = err
			return nil
		}
		if desc.Digest != "" {
			if l.name.Tag == "" {
				l.name.Digest = string(desc.Digest) // several digests of one repository may be wanted
			}
			inv[l.name] = desc
		}
		return err
	})
	return inv, err
}

// tagWants returns a want for each tag, with the names that m gives it in all target repositories.
func tagWants(
	ctx context.Context, source ref.Repo, tags []string, targets []ref.Name, m plan.TagMap, ow plan.Overwrite,
) ([]want, error) {
	var wants []want
	m = m.Indexed()
	for _, tag := range tags {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		w := want{source: source.Tagged(tag), overwrite: ow}
		renamed, err := m.Targets(tag)
		if err != nil {
			return nil, err
		}
		for _, to := range renamed {
			if err := ref.Tag(to); err != nil {
				return nil, fault.Misuse("map tag", tag, fmt.Sprintf("the map changes it to %q, which is not a valid tag", to), "")
			}
			for _, n := range targets {
				w.targets = append(w.targets, n.Repo.Tagged(to))
			}
		}
		wants = append(wants, w)
	}
	return wants, nil
}
