package dray

import (
	"cmp"
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// ImportRequest asks for one source image under names in one target registry.
// It means what `az acr import` means by the same words.
type ImportRequest struct {
	// Source is an image: "docker.io/library/nginx:1.25", "nginx", "prod/app@sha256:…".
	// With SourceRegistry it is a path in that registry.
	Source string

	// SourceRegistry is a registry's name, its login server, or an ARM resource ID,
	// whose last segment is the name. A host that Source repeats is trimmed, with a note.
	SourceRegistry string

	// Target is the registry to import into: a configured name (also with the login
	// server's suffix), a host (it has a dot or a port or is localhost), or else the
	// name of an Azure container registry. "" takes Config.Default; where that is ""
	// too, Images and Repositories are full names.
	Target string

	// Images are target names "repository[:tag]". Without a tag the source's is taken,
	// then "latest". Without Images and Repositories the source's own name is the
	// target; a source by digest then arrives by digest only.
	Images []string

	// Repositories receive the content by digest, without a tag.
	Repositories []string

	// Tags are source tags to import in one go, each on its own: Source then names a
	// repository, and Images and Repositories name repositories too. Without Tags,
	// the keys of Map are the tags.
	Tags []string
	Map  plan.TagMap // what the source's tags become

	Overwrite plan.Overwrite // "" is plan.Refuse
	Hold      plan.Hold      // with several source tags; "" is plan.Each
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// PlanImport resolves the source and looks at the target names, one HEAD each.
// Names that can not be read are Invalid, before any request.
func (d *Dray) PlanImport(ctx context.Context, req ImportRequest, obs event.Observer) (*Prepared, error) {
	n, err := d.importNames(req)
	if err != nil {
		return nil, err
	}
	r := survey.Rules{Verb: "import", Overwrite: cmp.Or(req.Overwrite, plan.Refuse), Hold: req.Hold, Backup: req.Backup, Map: req.Map}
	return d.plan(req.SourceLogin, req.TargetLogin, obs, func(s *place.Session) (*survey.Draft, error) { return survey.Import(ctx, s, n, r) })
}

// ImportNames returns the names that PlanImport reads in req. Where several tags are asked for
// they name repositories. The error is Invalid.
func (d *Dray) ImportNames(req ImportRequest) (source ref.Name, targets []ref.Name, err error) {
	n, err := d.importNames(req)
	return n.Source, n.Targets, err
}

func (d *Dray) importNames(req ImportRequest) (name.Named, error) {
	return d.names.Import(name.Request{Source: req.Source, SourceRegistry: req.SourceRegistry, Target: req.Target,
		Images: req.Images, Repositories: req.Repositories, Tags: req.Tags, Map: req.Map}, name.AsAz)
}
