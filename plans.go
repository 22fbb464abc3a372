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
	session     *session // nil for a plan from a file
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
	source, targets, notes, err := d.importNames(req)
	if err != nil {
		return nil, err
	}
	p := d.newPlan("import", cmp.Or(req.Overwrite, plan.Refuse), req.SourceLogin, req.TargetLogin, obs)
	defer p.session.release()
	p.Notes = notes
	return p, p.one(ctx, source, targets)
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
	if req.Tags == AllTags {
		return p, p.allTags(ctx, source, targets)
	}
	source = withLatest(source)
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
	if len(req.Tags) == 0 {
		return nil, invalid("tag", image.String(), "no new tag", "name at least one")
	}
	for _, tag := range req.Tags {
		if strings.ContainsAny(tag, "/:@") {
			return nil, invalid("tag", image.String(), fmt.Sprintf("%q is not a tag", tag), "dray copy brings an image to another name")
		}
		if err := ref.Tag(tag); err != nil {
			return nil, err
		}
	}
	image = withLatest(image)
	p := d.newPlan("tag", plan.Update, req.Login, req.Login, obs)
	defer p.session.release()
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

func (d *Dray) newPlan(verb string, ow plan.Overwrite, source, target *credential.Login, obs event.Observer) *Plan {
	return &Plan{Plan: plan.Plan{Verb: verb, Overwrite: ow}, SourceLogin: source, TargetLogin: target, session: d.begin(source, target, obs)}
}

// one plans a single source name.
func (p *Plan) one(ctx context.Context, source ref.Name, targets []ref.Name) error {
	repos := make([]ref.Repo, len(targets))
	for i, to := range targets {
		repos[i] = to.Repo
	}
	p.session.aim(source.Repo, repos...)
	src, dst, err := p.session.survey(ctx, source, targets)
	if err != nil {
		return err
	}
	p.Steps, err = plan.Make(src, dst, plan.Rules{Overwrite: p.Overwrite, Targets: func(ref.Name) []ref.Name { return targets }})
	return err
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
		err = each(ctx, 2, []func(context.Context) error{
			func(ctx context.Context) (err error) { src, err = s.surveySource(ctx, source); return err },
			func(ctx context.Context) (err error) { dst, err = s.surveyTargets(ctx, targets, ""); return err },
		}, func(ctx context.Context, look func(context.Context) error) error { return look(ctx) })
	}
	return src, dst, err
}

// allTags plans every tag of a repository.
func (p *Plan) allTags(ctx context.Context, source ref.Name, targets []ref.Name) error {
	for _, n := range append([]ref.Name{source}, targets...) {
		if n.Tag != "" || n.Digest != "" {
			return invalid("copy", n.String(), "all tags of a repository go to a repository: this names one image", "leave the tag off")
		}
	}
	repos := make([]ref.Repo, len(targets))
	for i, to := range targets {
		repos[i] = to.Repo
	}
	p.session.aim(source.Repo, repos...)
	src, err := p.session.sourceTags(ctx, source.Repo)
	if err != nil {
		return err
	}
	dst := plan.Inventory{}
	for _, repo := range repos {
		if err := p.session.targetTags(ctx, repo, src, dst); err != nil {
			return err
		}
	}
	p.Steps, err = plan.Make(src, dst, plan.Rules{Overwrite: p.Overwrite, Targets: func(from ref.Name) (to []ref.Name) {
		for _, repo := range repos {
			to = append(to, repo.Tagged(from.Tag))
		}
		return to
	}})
	return err
}
