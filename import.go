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

// ImportRequest asks to copy one source image to names in one target registry. Its fields mean the same
// as the flags of az acr import.
type ImportRequest struct {
	// Source is an image: "docker.io/library/nginx:1.25", "nginx", "prod/app@sha256:…". If
	// SourceRegistry is set, Source is a path in that registry.
	Source string

	// SourceRegistry is the name of a registry, its login server, or an ARM resource ID, which means the
	// login server of the registry in Azure. If Source begins with the same host, the host is removed and the plan has a
	// note about it.
	SourceRegistry string

	// Target is the registry to import into: a key of Config.Registries or an alias, a host (it has a
	// dot or a port, or is localhost), or otherwise the name of an Azure container registry. The plan
	// has a note about such a name. "" means Config.Default. If that is "" too, Images and
	// Repositories are full names.
	Target string

	// Images are target names, "repository[:tag]". If one begins with the name, an alias or the host of the
	// target registry, this is removed, and the plan has a note about it. A name stays if Target is a host.
	// A name without a tag gets the tag of the source or, if the source has none, "latest". If Images and
	// Repositories are empty, the target has the path and the tag of the source. A source with a digest and
	// no tag is then copied by digest and gets no tag.
	Images []string

	// Repositories receive the content by digest, without a tag.
	Repositories []string

	// Tags are several tags of the source to import. Source and Images are then repositories, and
	// Repositories must be empty. The tags are independent of each other, unless Hold is plan.All. If
	// Tags is empty and Source has neither a tag nor a digest, the tags are the keys of Map.
	Tags []string
	Map  plan.TagMap // renames the tags of the source

	Overwrite plan.Overwrite // "" means plan.Refuse
	Hold      plan.Hold      // for several source tags; "" means plan.Each
	Backup    plan.Backup    // how to keep a tag that is overwritten; not with plan.Refuse

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

// PlanImport plans an import: it resolves the source and looks at the target names, with one HEAD
// request for each. It writes nothing; [Dray.Apply] carries the plan out. Names that cannot be parsed
// are [fault.Invalid], before any request.
func (d *Dray) PlanImport(ctx context.Context, req ImportRequest, obs event.Observer) (*Prepared, error) {
	r := survey.Rules{
		Verb:      "import",
		Overwrite: cmp.Or(req.Overwrite, plan.Refuse),
		Hold:      req.Hold,
		Backup:    req.Backup,
		Referrers: req.Referrers.Or(d.referrers),
		Platforms: req.Platforms.Or(d.platforms),
		Map:       req.Map,
	}
	draft := func(s *place.Session, names *name.Reader) (*survey.Draft, error) {
		return survey.Import(ctx, s, names, req.names(), r)
	}
	o := opening{source: req.SourceLogin, target: req.TargetLogin, gate: req.Gate}
	if len(req.Tags) == 0 && len(req.Map.Pairs) == 0 {
		o.names = func(names *name.Reader) (ref.Name, []ref.Name, error) {
			n, err := names.Import(req.names(), name.AsAz)
			return n.Source, n.Targets, err
		}
	}
	return d.plan(ctx, o, obs, draft)
}

// ImportNames returns the names that PlanImport reads from req. If req asks for several tags, they are
// the names of repositories. It makes no requests. The error is [fault.Invalid].
func (d *Dray) ImportNames(req ImportRequest) (source ref.Name, targets []ref.Name, err error) {
	n, err := d.names.Import(req.names(), name.AsAz)
	return n.Source, n.Targets, err
}

func (r ImportRequest) names() name.Request {
	return name.Request{Source: r.Source, SourceRegistry: r.SourceRegistry, Target: r.Target,
		Images: r.Images, Repositories: r.Repositories, Tags: r.Tags, Map: r.Map}
}
