package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
)

// TagRequest asks for more tags for an image, in the repository of the image.
type TagRequest struct {
	Image string // "HOST/REPO:TAG" or "HOST/REPO@DIGEST"; with Map a repository

	// Tags are the new tags. A full name is [fault.Invalid]; use [CopyRequest] to copy elsewhere.
	Tags []string

	// Map is used if Tags is empty. Each tag that a pair of Map names gets the new tags of the pair.
	// Each other tag gets the tag that Map.Rename makes of it.
	Map plan.TagMap

	Hold  plan.Hold         // with Map; "" means plan.Each
	Login *credential.Login // nil means Config.Logins
}

// PlanTag plans new tags for an image: it reads the manifest of the image. It does not look at the new
// tags; they are set, whatever they point to now. It writes nothing; [Dray.Apply] carries the plan out.
func (d *Dray) PlanTag(ctx context.Context, req TagRequest, obs event.Observer) (*Prepared, error) {
	r := survey.Rules{Verb: "tag", Overwrite: plan.Update, Hold: req.Hold, Map: req.Map}
	draft := func(s *place.Session, names *name.Reader) (*survey.Draft, error) {
		image, err := names.Tag(req.Image, req.Tags, req.Map)
		if err != nil {
			return nil, err
		}
		return survey.Tag(ctx, s, image, req.Tags, r)
	}
	return d.plan(ctx, opening{source: req.Login, target: req.Login}, obs, draft)
}
