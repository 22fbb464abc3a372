package dray

import (
	"cmp"
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// BatchRequest asks for many images, each on its own.
type BatchRequest struct {
	Entries []BatchEntry

	// Target is the registry of targets that name none, as in ImportRequest.
	Target string

	Overwrite plan.Overwrite // of entries that say nothing; "" is plan.Refuse
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse
	Hold      plan.Hold      // "" is plan.Each

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// PlanBatch plans every entry on its own: one that can not be read or found is a
// Broken step, and stops nothing else. Two entries that bring different content to
// one name are Invalid.
func (d *Dray) PlanBatch(ctx context.Context, req BatchRequest, obs event.Observer) (*Prepared, error) {
	r := survey.Rules{Verb: "batch", Overwrite: cmp.Or(req.Overwrite, plan.Refuse), Hold: req.Hold, Backup: req.Backup}
	return d.plan(req.SourceLogin, req.TargetLogin, obs, func(s *place.Session) (*survey.Draft, error) {
		return survey.Batch(ctx, s, d.names, req.Entries, req.Target, r)
	})
}

// EntryNames returns the names that PlanBatch reads in e, where target is the
// request's: the source, and the targets that the Steps of its plan carry in To.
// The error is Invalid.
func (d *Dray) EntryNames(e BatchEntry, target string) (source ref.Name, targets []ref.Name, err error) {
	n, err := d.names.Entry(e, target)
	return n.Source, n.Targets, err
}
