package probe

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/admit"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// gate asks the gate of the session about the image, if a copy to the target would move it. It does not do so at
// Docker Hub, where that may count as a pull.
func (c *checker) gate(ctx context.Context, to *checker) {
	if c.session.Gate == nil || c.found.Digest == "" || c.found.Digest == to.found.Digest {
		return
	}
	if c.traits.Product == "dockerhub" {
		c.note("gate", report.Unknown, "not asked: to read a manifest counts as a pull", "")
		return
	}
	from := c.name
	from.Digest = string(c.found.Digest)
	steps := []plan.Step{{
		Action: plan.Copy, From: from, To: to.name, MediaType: c.found.MediaType, Size: c.found.Size,
		Replaces: to.found.Digest,
	}}
	switch err := admit.Steps(ctx, c.session, "copy", steps); {
	case err != nil: // the caller gave up
	case steps[0].Action == plan.Refused:
		p := steps[0].Problem
		c.fail("gate", fault.Refused, p.Message, p.Hint)
	default:
		c.note("gate", report.OK, "it admits the image", "")
	}
}
