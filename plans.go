package dray

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Plan is what Apply carries out. It is a plan.Plan, which prints, is written
// with Write and read with ReadPlan, together with what was learned while it was
// made, which is not written: a plan that was read back is first held against
// both registries again.
type Plan struct {
	plan.Plan
	SourceLogin *credential.Login // nil asks Config.Logins; never written
	TargetLogin *credential.Login
	Proof       oci.Proof // "" is transfer.Sized for what plan.Always puts again, else transfer.Claimed; never written
	session     *session  // nil for a plan from a file
}

// ReadPlan reads a plan that Plan.Write wrote. The error is Invalid and names the line.
func ReadPlan(r io.Reader) (*Plan, error) {
	p, err := plan.Read(r)
	if err != nil {
		return nil, err
	}
	return &Plan{Plan: p}, nil
}

// PlanImport resolves the source and looks at the target names, one HEAD each.
// Names that can not be read are Invalid, before any request.
func (d *Dray) PlanImport(ctx context.Context, req ImportRequest, obs event.Observer) (*Plan, error) {
	names, err := d.importNames(req, asAz)
	if err != nil {
		return nil, err
	}
	p := d.newPlan("import", cmp.Or(req.Overwrite, plan.Refuse), req.SourceLogin, req.TargetLogin, obs)
	defer p.session.release()
	p.Backup = req.Backup
	if err := checkBackupOf("import", p.Backup, p.Overwrite); err != nil {
		return nil, err
	}
	p.Notes = names.notes
	if len(names.tags) == 0 {
		return p, p.one(ctx, names.source, names.targets)
	}
	p.Hold = cmp.Or(req.Hold, plan.Each)
	wants, err := tagWants(names.source.Repo, names.tags, names.targets, req.Map, p.Overwrite)
	if err != nil {
		return nil, err
	}
	return p, p.many(ctx, wants)
}

// PlanBatch plans every entry on its own: one that can not be read or found is a
// Broken step, and stops nothing else. Two entries that bring different content to
// one name are Invalid.
func (d *Dray) PlanBatch(ctx context.Context, req BatchRequest, obs event.Observer) (*Plan, error) {
	p := d.newPlan("batch", cmp.Or(req.Overwrite, plan.Refuse), req.SourceLogin, req.TargetLogin, obs)
	defer p.session.release()
	p.Backup = req.Backup
	if err := checkBackupOf("batch", p.Backup, p.Overwrite); err != nil {
		return nil, err
	}
	p.Hold = cmp.Or(req.Hold, plan.Each)
	wants := make([]want, len(req.Entries))
	for i, e := range req.Entries {
		names, err := d.entryNames(e, req.Target)
		wants[i] = want{source: names.source, targets: names.targets, overwrite: cmp.Or(e.Overwrite, p.Overwrite)}
		if err != nil {
			wants[i] = want{asked: strings.TrimSpace(e.Source + " " + strings.Join(e.Targets, " ")), err: atLine(e.Line, err)}
		}
		p.Notes = append(p.Notes, names.notes...)
	}
	return p, p.many(ctx, wants)
}

// EntryNames returns the names that PlanBatch reads in e, where target is the
// request's: the source, and the targets that the Steps of its plan carry in To.
// The error is Invalid.
func (d *Dray) EntryNames(e BatchEntry, target string) (source ref.Name, targets []ref.Name, err error) {
	n, err := d.entryNames(e, target)
	return n.source, n.targets, err
}

func (d *Dray) entryNames(e BatchEntry, target string) (named, error) {
	how := asName
	if e.Paths {
		how = asPath
	}
	return d.importNames(ImportRequest{Source: e.Source, Target: target, Images: e.Targets}, how)
}

// atLine says in which line of a list an error is.
func atLine(line int, err error) error {
	if line == 0 {
		return err
	}
	return &fault.Fault{Kind: fault.KindOf(err), Op: "read list", Name: fmt.Sprintf("line %d", line), Err: err, Hint: fault.HintOf(err)}
}

// PlanCopy resolves the source, or every tag of it, and looks at the target names.
func (d *Dray) PlanCopy(ctx context.Context, req CopyRequest, obs event.Observer) (*Plan, error) {
	source, err := d.parse(req.Source)
	if err != nil {
		return nil, err
	}
	if len(req.Targets) == 0 {
		return nil, invalid("copy", source.String(), "no target", "name at least one")
	}
	p := d.newPlan("copy", cmp.Or(req.Overwrite, plan.Update), req.SourceLogin, req.TargetLogin, obs)
	defer p.session.release()
	p.Backup = req.Backup
	if err := checkBackupOf("copy", p.Backup, p.Overwrite); err != nil {
		return nil, err
	}
	var targets []ref.Name
	for _, s := range req.Targets {
		to, err := d.parse(s)
		if err != nil {
			return nil, err
		}
		if to.Digest != "" {
			return nil, digestTarget(s)
		}
		targets = append(targets, to)
	}
	if err := req.Map.Check(); err != nil {
		return nil, err
	}
	if req.Tags == AllTags || req.Tags == Sharing {
		p.Hold = cmp.Or(req.Hold, plan.Each)
		return p, p.tagsOf(ctx, source, targets, req)
	}
	source = withLatest(source)
	targets = spread(source, targets, req.Map)
	for i := range targets {
		if targets[i].Tag == "" && source.Tag == "" && source.Digest != "" {
			p.Notes = append(p.Notes, fmt.Sprintf("the source is named by digest: it arrives as %s without a tag", targets[i].Repo.At(source.Digest)))
		}
		targets[i].Tag = cmp.Or(targets[i].Tag, source.Tag)
	}
	return p, p.one(ctx, source, targets)
}

// PlanTag reads the image's manifest. It does not look at the new tags: they move, whatever they hold.
func (d *Dray) PlanTag(ctx context.Context, req TagRequest, obs event.Observer) (*Plan, error) {
	image, err := d.parse(req.Image)
	if err != nil {
		return nil, err
	}
	if err := checkNewTags(image, req); err != nil {
		return nil, err
	}
	p := d.newPlan("tag", plan.Update, req.Login, req.Login, obs)
	defer p.session.release()
	var wants []want
	if req.maps() {
		p.Hold = cmp.Or(req.Hold, plan.Each)
		p.session.aim(image.Repo, image.Repo)
		tags, err := p.session.mapped(ctx, image.Repo, req.Map)
		if err != nil {
			return nil, err
		}
		if wants, err = tagWants(image.Repo, tags, []ref.Name{image.Repo.Tagged("")}, req.Map, plan.Update); err != nil {
			return nil, err
		}
		return p, p.many(ctx, wants)
	}
	p.Hold = plan.All
	image = withLatest(image)
	p.session.aim(image.Repo, image.Repo)
	src, err := p.session.readSource(ctx, image)
	if err != nil {
		return nil, err
	}
	p.Steps, err = plan.Make(src, plan.Inventory{image: src[image]}, plan.Rules{Overwrite: plan.Update, Targets: func(ref.Name) (to []ref.Name) {
		for _, tag := range req.Tags {
			to = append(to, image.Tagged(tag))
		}
		return to
	}})
	return p, err
}

func checkNewTags(image ref.Name, req TagRequest) error {
	switch {
	case req.maps() && len(req.Tags) > 0:
		return invalid("tag", image.String(), "new tags and a map at once", "the map names the new tags")
	case req.maps() && (image.Tag != "" || image.Digest != ""):
		return invalid("tag", image.String(), "a map is for a repository: this names one image", "leave the tag off")
	case !req.maps() && len(req.Tags) == 0:
		return invalid("tag", image.String(), "no new tag", "name at least one")
	}
	for _, tag := range req.Tags {
		if strings.ContainsAny(tag, "/:@") {
			return invalid("tag", image.String(), fmt.Sprintf("%q is not a tag", tag), "dray copy brings an image to another name")
		}
		if err := ref.Tag(tag); err != nil {
			return err
		}
	}
	return req.Map.Check()
}

// maps reports whether the request is for a repository's tags by a map.
func (r TagRequest) maps() bool { return len(r.Map.Pairs) > 0 || len(r.Map.Rename) > 0 }

// mapped lists the tags that m gives another name: its keys, and where it renames
// by an expression those of repo that the expression changes.
func (s *session) mapped(ctx context.Context, repo ref.Repo, m plan.TagMap) ([]string, error) {
	tags := m.Keys()
	if len(m.Rename) == 0 {
		return tags, nil
	}
	at, err := s.source(repo)
	if err != nil {
		return nil, err
	}
	err = at.List(ctx, func(l oci.Listed) error {
		if m.Rename.Apply(l.Tag) != l.Tag {
			tags = append(tags, l.Tag)
		}
		return nil
	})
	return tags, fault.On(fault.Source, err)
}

// spread gives a target without a tag the tags that the source's becomes.
func spread(source ref.Name, targets []ref.Name, m plan.TagMap) []ref.Name {
	var out []ref.Name
	for _, to := range targets {
		if to.Tag != "" || source.Tag == "" {
			out = append(out, to)
			continue
		}
		for _, tag := range m.Targets(source.Tag) {
			out = append(out, to.Repo.Tagged(tag))
		}
	}
	return out
}

func (d *Dray) newPlan(verb string, ow plan.Overwrite, source, target *credential.Login, obs event.Observer) *Plan {
	return &Plan{Plan: plan.Plan{Verb: verb, Overwrite: ow}, SourceLogin: source, TargetLogin: target, session: d.begin(source, target, obs)}
}

// one plans a single source name.
func (p *Plan) one(ctx context.Context, source ref.Name, targets []ref.Name) error {
	repos := make([]ref.Repo, len(targets))
	for i, to := range targets {
		repos[i] = to.Repo
	}
	p.Hold = plan.All
	p.session.aim(source.Repo, repos...)
	src, dst, err := p.session.survey(ctx, source, targets)
	if err != nil {
		return err
	}
	p.Steps, err = plan.Make(src, dst, plan.Rules{Overwrite: p.Overwrite, Targets: func(ref.Name) []ref.Name { return targets }})
	return cmp.Or(err, p.see(ctx))
}

// survey looks at both ends side by side. Within one registry it looks at the
// target first: where the name is free, the source is read at once and not asked about before.
func (s *session) survey(ctx context.Context, source ref.Name, targets []ref.Name) (src, dst plan.Inventory, err error) {
	byDigest := slices.ContainsFunc(targets, func(n ref.Name) bool { return n.Tag == "" })
	oneRegistry := !slices.ContainsFunc(targets, func(n ref.Name) bool { return n.Host != source.Host })
	switch {
	case byDigest: // the digest has to be known before it can be asked for
		if src, err = s.surveySource(ctx, source); err == nil {
			dst, err = s.surveyTargets(ctx, targets, src[source].Digest)
		}
	case oneRegistry:
		if dst, err = s.surveyTargets(ctx, targets, ""); err != nil {
			break
		}
		if len(dst) < len(targets) {
			src, err = s.readSource(ctx, source)
		} else {
			src, err = s.surveySource(ctx, source)
		}
	default:
		err = bySide(ctx,
			func(ctx context.Context) (err error) { src, err = s.surveySource(ctx, source); return err },
			func(ctx context.Context) (err error) { dst, err = s.surveyTargets(ctx, targets, ""); return err })
	}
	return src, dst, err
}

// tagsOf plans all tags of a repository, or those that share one digest.
func (p *Plan) tagsOf(ctx context.Context, source ref.Name, targets []ref.Name, req CopyRequest) error {
	names := targets
	if req.Tags == AllTags {
		names = append(slices.Clone(targets), source)
	}
	for _, n := range names {
		if n.Tag != "" || n.Digest != "" {
			return invalid("copy", n.String(), "several tags go to a repository: this names one image", "leave the tag off")
		}
	}
	repos := make([]ref.Repo, len(targets))
	for i, to := range targets {
		repos[i] = to.Repo
	}
	p.session.aim(source.Repo, repos...)
	list, held, err := p.session.lists(ctx, source.Repo, repos)
	if err != nil {
		return err
	}
	if req.Tags == Sharing {
		if err := p.session.askSource(ctx, list); err != nil {
			return err
		}
		if list, err = p.sharing(ctx, withLatest(source), list); err != nil {
			return err
		}
	}
	to := map[ref.Name][]ref.Name{}
	wanted := map[string]bool{}
	wants, err := tagWants(source.Repo, list.tags(), targets, req.Map, p.Overwrite)
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
	err = bySide(ctx,
		func(ctx context.Context) error { return p.session.askSource(ctx, list) },
		func(ctx context.Context) (err error) { dst, err = p.session.heldBy(ctx, held, wanted); return err })
	if err != nil {
		return err
	}
	p.Steps, err = plan.Make(list.told, dst, plan.Rules{Overwrite: p.Overwrite, Targets: func(from ref.Name) []ref.Name { return to[from] }})
	return cmp.Or(err, p.see(ctx))
}

// lists reads the listings of the source and of all targets side by side.
func (s *session) lists(ctx context.Context, source ref.Repo, targets []ref.Repo) (from tagList, to []tagList, err error) {
	to = make([]tagList, len(targets))
	err = bySide(ctx,
		func(ctx context.Context) (err error) { from, err = s.sourceList(ctx, source); return err },
		func(ctx context.Context) error {
			return each(ctx, lookups, indexesOf(targets), func(ctx context.Context, i int) (err error) {
				to[i], err = s.targetList(ctx, targets[i])
				return err
			})
		})
	return from, to, err
}

// bySide looks at both sides at once.
func bySide(ctx context.Context, source, target func(context.Context) error) error {
	return each(ctx, 2, []func(context.Context) error{source, target},
		func(ctx context.Context, look func(context.Context) error) error { return look(ctx) })
}

// sharing keeps of list the tags that hold what image holds.
func (p *Plan) sharing(ctx context.Context, image ref.Name, list tagList) (tagList, error) {
	found, err := p.session.surveySource(ctx, image)
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

func tagsIn(inv plan.Inventory) []string {
	var tags []string
	for n := range inv {
		tags = append(tags, n.Tag)
	}
	slices.Sort(tags)
	return tags
}
