package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/probe"
)

// CheckRequest asks whether an image can be read and, with a Target, written there.
type CheckRequest struct {
	Source string // an image
	Target string // "" asks about the source alone; without a tag it is the source's

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// Check finds out whether an image can be copied, with a few requests and
// nothing left behind: at a target an upload is opened and canceled. What it
// finds is in the report; the error is Invalid for a name that is none, or
// Canceled.
func (d *Dray) Check(ctx context.Context, req CheckRequest, obs event.Observer) (CheckReport, error) {
	return probe.Check(ctx, d.base, d.names, probe.Request(req), obs)
}
