package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
)

// TagRequest asks for further tags on an image, in its own repository.
type TagRequest struct {
	Image string      // "HOST/REPO:TAG", "HOST/REPO@DIGEST"; with Map a repository
	Tags  []string    // tags only; a full name elsewhere is Invalid
	Map   plan.TagMap // without Tags: each key gets its values as further tags, and each other tag what Rename makes of it
	Hold  plan.Hold   // with Map; "" is plan.Each
	Login *credential.Login
}

// PlanTag reads the image's manifest. It does not look at the new tags: they move, whatever they hold.
func (d *Dray) PlanTag(ctx context.Context, req TagRequest, obs event.Observer) (*Prepared, error) {
	image, err := d.names.Parse(req.Image)
	if err != nil {
		return nil, err
	}
	r := survey.Rules{Verb: "tag", Overwrite: plan.Update, Hold: req.Hold, Map: req.Map}
	return d.plan(req.Login, req.Login, obs, func(s *place.Session) (*survey.Draft, error) { return survey.Tag(ctx, s, image, req.Tags, r) })
}
