package dray

import (
	"cmp"
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// CopyRequest asks to copy one image, or all tags of a repository, to one or more targets.
type CopyRequest struct {
	// Source is "HOST/REPO[:TAG|@DIGEST]", or an end on disk: "oci:DIR", "oci-archive:FILE",
	// "docker-archive:FILE", each with [:REF|@DIGEST], or "dir:DIR". With AllTags it is a repository.
	Source string

	// Targets are full names. A target without a tag gets the tag of the source. If the source has a
	// digest and no tag, the image is copied by digest and gets no tag. With AllTags the targets are
	// repositories.
	Targets []string

	Tags Tags        // which tags of the source; "" means the one that Source names
	Map  plan.TagMap // renames the tags of the source; for a single tag only if the target names no tag

	Overwrite plan.Overwrite // "" means plan.Update
	Hold      plan.Hold      // for several source tags; "" means plan.Each
	Backup    plan.Backup    // how to keep a tag that is overwritten; not with plan.Refuse

	// SkipBroken leaves out tags that the source lists and whose manifest does not exist; a note names
	// them. Otherwise such a tag is a failed step. It has an effect with AllTags only, and costs one
	// request for each tag, even if the listing has its digest.
	SkipBroken bool

	// Referrers chooses which signatures and other referrers travel with an image. The zero value means
	// all of them, with each image that moves.
	Referrers plan.Referrers

	// Platforms chooses which platforms of an image are copied. The zero value means all of them.
	Platforms plan.Platforms

	// Gate decides which images may move, after Config.Gate; nil admits all.
	Gate gate.Gate

	SourceLogin *credential.Login // nil means Config.Logins
	TargetLogin *credential.Login // nil means Config.Logins
}

// PlanCopy plans a copy: it resolves the source, or each of its tags, and looks at the target names. It
// writes nothing; [Dray.Apply] carries the plan out. Names that cannot be parsed are [fault.Invalid],
// before any request.
func (d *Dray) PlanCopy(ctx context.Context, req CopyRequest, obs event.Observer) (*Prepared, error) {
	r := survey.Rules{
		Verb:      "copy",
		Overwrite: cmp.Or(req.Overwrite, plan.Update),
		Hold:      req.Hold,
		Backup:    req.Backup,
		Referrers: req.Referrers.Or(d.referrers),
		Platforms: req.Platforms.Or(d.platforms),
		Map:       req.Map,

		SkipBroken: req.SkipBroken,
	}
	draft := func(s *place.Session, names *name.Reader) (*survey.Draft, error) {
		source, targets, err := names.Copy(req.Source, req.Targets)
		if err != nil {
			return nil, err
		}
		return survey.Copy(ctx, s, source, targets, req.Tags, r)
	}
	o := opening{source: req.SourceLogin, target: req.TargetLogin, gate: req.Gate}
	if req.Tags == plan.NamedTag {
		o.names = func(names *name.Reader) (ref.Name, []ref.Name, error) {
			source, targets, err := names.Copy(req.Source, req.Targets)
			if err != nil {
				return source, nil, err
			}
			source = name.WithLatest(source)
			targets, err = name.Spread(source, targets, req.Map)
			return source, targets, err
		}
	}
	return d.plan(ctx, o, obs, draft)
}
