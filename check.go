package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/probe"
)

// CheckRequest asks whether an image can be read and, if Target is set, copied to Target.
type CheckRequest struct {
	Source string // an image
	Target string // an image; without a tag it has the tag of Source. "" checks the source only

	SourceLogin *credential.Login // nil means Config.Logins
	TargetLogin *credential.Login // nil means Config.Logins
}

// Check finds out whether an image can be copied. It reads no layer and leaves nothing behind: at
// the target it opens an upload and cancels it.
//
// The findings are in the report, also if a copy would fail. The error is [fault.Invalid] for a name
// that cannot be parsed, or [fault.Canceled].
func (d *Dray) Check(ctx context.Context, req CheckRequest, obs event.Observer) (CheckReport, error) {
	return probe.Check(ctx, d.base, d.names, probe.Request(req), obs)
}
