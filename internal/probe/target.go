package probe

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/lock"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// target checks whether the repository can be written to.
func (c *checker) target(ctx context.Context) {
	if _, here := c.session.Base.Registry(c.name.Host); here {
		c.note("reached", report.OK, "in this process", "")
		return
	}
	if c.name.IsLayout() {
		text, err, absent := "it exists", error(nil), place.Absent(c.name.Repo)
		if absent {
			text = "it does not exist yet: it will be created"
		}
		switch {
		case c.name.IsMade():
			err = c.session.Base.Ends.Ready(ctx, c.name.In(""))
		case !absent:
			if err = c.session.Base.Ends.Ready(ctx, c.name.In("")); err == nil {
				_, err = c.session.Target(ctx, c.name.Repo, layout.Read)
			}
		}
		if err != nil {
			c.fail("reached", fault.KindOf(err), causeOf(err), fault.HintOf(err))
			return
		}
		c.note("reached", report.OK, text, "")
		return
	}
	if !c.begin(ctx, remote.Push) {
		return
	}
	c.pull(ctx)
	if c.refused {
		return
	}
	c.push(ctx)
	c.noteKnown("mount", c.traits.Mount)
	c.noteKnown("resume", c.traits.Resume)
	c.referrers(ctx, oci.Descriptor{Digest: anyDigest})
}

// push opens an upload session and cancels it.
func (c *checker) push(ctx context.Context) {
	left, err := c.repo.TryPush(ctx)
	switch {
	case err == nil && left:
		c.note("push", report.OK,
			"an upload was opened; this login may not cancel it, so the registry keeps it for a while", "")
	case err == nil:
		c.note("push", report.OK, "an upload was opened and canceled", "")
	default:
		if place, askErr := c.repo.Absent(ctx); askErr == nil && place.Name != "" {
			c.absent(place)
			return
		}
		if fault.Is(err, fault.Denied) {
			c.failDenied("push", err)
			return
		}
		c.fail("push", fault.KindOf(err), causeOf(err), fault.HintOf(err))
	}
}

// absent reports that the repository or registry to push to does not exist. If a read was denied
// only for that reason, its finding is corrected.
func (c *checker) absent(place remote.Place) {
	if place.Created {
		c.note("push", report.OK,
			place.Name+" does not exist: the first push creates it, as create: in the configuration allows", "")
	} else {
		c.fail("push", fault.NotFound, place.Name+" does not exist", place.Hint)
	}
	for i := range c.findings {
		if c.findings[i].What == "pull" && c.findings[i].Kind == fault.Denied {
			c.findings[i] = report.Finding{What: "pull", State: report.Unknown, Text: "nothing to read yet"}
		}
	}
}

func (c *checker) noteKnown(what, text string) {
	if text == "" {
		c.note(what, report.Unknown, "not known before a copy tries it", "")
		return
	}
	c.note(what, report.OK, "known: "+text, "")
}

// compareTags compares what both sides have. If the tag would move, it checks whether the registry
// allows that.
func (c *checker) compareTags(ctx context.Context, from *checker) {
	if c.found.Digest == "" || c.name.Tag == "" {
		return
	}
	if c.found.Digest == from.found.Digest {
		c.note("tag", report.OK, "it already has the same digest: nothing to do", "")
		return
	}
	c.note("tag", report.OK, "it has digest "+string(c.found.Digest)+": copy replaces it, import requires --force", "")
	why, err := c.repo.Locked(ctx, c.name.Tag)
	if err == nil && why != "" {
		c.fail("lock", fault.Conflict, why, lock.Hint)
	}
}
