package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/look"
)

// RemoveRequest asks to take an image away.
type RemoveRequest struct {
	Image string     // "HOST/REPO:TAG"; with RemoveManifest also "HOST/REPO@DIGEST". No tag is ever implied.
	What  RemoveWhat // "" is RemoveTag
	Login *credential.Login
}

// PlanRemove finds out what a removal takes with it: one HEAD, and for a
// manifest the listing of its repository, with one HEAD a tag where that tells
// no digests. Nothing is removed.
func (d *Dray) PlanRemove(ctx context.Context, req RemoveRequest, obs event.Observer) (Removal, error) {
	return look.PlanRemove(ctx, d.base, d.names, look.RemoveRequest(req), obs)
}

// Remove carries out what PlanRemove found. It is Moved, and takes nothing away,
// when the tag that was asked for points elsewhere by now; tags that came to point
// to a manifest since it was planned go with it. Refused says that the registry
// does not delete in this way.
func (d *Dray) Remove(ctx context.Context, r Removal, login *credential.Login, obs event.Observer) error {
	return look.Remove(ctx, d.base, r, login, obs)
}
