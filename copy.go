package dray

import (
	"cmp"
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
)

// CopyRequest asks for one image, or all tags of a repository, at one or more targets.
type CopyRequest struct {
	// Source is "HOST/REPO[:TAG|@DIGEST]" or "oci:DIR[:TAG|@DIGEST]". With AllTags it is a repository.
	Source string

	// Targets are full names. Without a tag the source's tag is taken; a source by
	// digest without a tag then arrives by digest only. With AllTags they are repositories.
	Targets []string

	Tags Tags
	Map  plan.TagMap // what the source's tags become; with a single tag, where the target names none

	Overwrite plan.Overwrite // "" is plan.Update
	Hold      plan.Hold      // with several source tags; "" is plan.Each
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// PlanCopy resolves the source, or every tag of it, and looks at the target names.
func (d *Dray) PlanCopy(ctx context.Context, req CopyRequest, obs event.Observer) (*Prepared, error) {
	source, targets, err := d.names.Copy(req.Source, req.Targets)
	if err != nil {
		return nil, err
	}
	r := survey.Rules{Verb: "copy", Overwrite: cmp.Or(req.Overwrite, plan.Update), Hold: req.Hold, Backup: req.Backup, Map: req.Map}
	return d.plan(req.SourceLogin, req.TargetLogin, obs, func(s *place.Session) (*survey.Draft, error) {
		return survey.Copy(ctx, s, source, targets, req.Tags, r)
	})
}
