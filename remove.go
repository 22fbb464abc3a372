package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/look"
)

// RemoveRequest asks to remove a tag or a manifest from a repository.
type RemoveRequest struct {
	// Image is "HOST/REPO:TAG"; with RemoveManifest also "HOST/REPO@DIGEST". A missing tag never means
	// "latest".
	Image string
	What  RemoveWhat        // "" means RemoveTag
	Login *credential.Login // nil means Config.Logins
}

// PlanRemove finds out what a removal would remove. It removes nothing.
//
// It needs one HEAD request and, for a manifest, the listing of the repository. If this listing does not
// contain digests, it needs one more HEAD request for each tag.
func (d *Dray) PlanRemove(ctx context.Context, req RemoveRequest, obs event.Observer) (Removal, error) {
	return look.PlanRemove(ctx, d.base, d.names, look.RemoveRequest(req), obs)
}

// Remove carries out what [Dray.PlanRemove] returned.
//
// Remove asks the registry again, and returns nil only when it no longer answers for what was removed.
// It waits up to 8 seconds for that.
//
// The error is [fault.Moved], and nothing is removed, if the requested tag points to other content by
// now. It is [fault.Refused] if the registry does not support this kind of removal, and
// [fault.Conflict] if the registry accepts the removal and still answers. If a manifest is removed,
// tags that were set to it after PlanRemove are removed with it, where the registry does so.
func (d *Dray) Remove(ctx context.Context, r Removal, login *credential.Login, obs event.Observer) error {
	return look.Remove(ctx, d.base, r, login, obs)
}
