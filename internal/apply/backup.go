package apply

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// backupTarget is a target repository in which some tags are saved under a backup name before they
// move.
type backupTarget struct {
	transfer.Target
	at    place.Repository
	steps map[string]plan.Step // the steps that have a Backup, by tag
}

// withBackup wraps to in a backupTarget if a step of e has a Backup. at is the repository behind to.
func (r *Run) withBackup(e *end, at place.Repository, to transfer.Target) transfer.Target {
	k := &backupTarget{Target: to, at: at, steps: map[string]plan.Step{}}
	for _, i := range e.steps {
		if s := r.Plan.Steps[i]; s.Backup != "" {
			k.steps[s.To.Tag] = s
		}
	}
	if len(k.steps) == 0 {
		return to
	}
	return k
}

// PutDocument does not move a tag whose backup failed. It reports the error of that tag in
// Accepted.Failed.
func (k *backupTarget) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	var free []string
	var lost oci.Accepted
	for _, tag := range tags {
		if err := k.backUp(ctx, tag); err == nil {
			free = append(free, tag)
		} else {
			lost = lost.And(oci.Accepted{Failed: map[string]error{tag: err}})
		}
	}
	if len(tags) > 0 && len(free) == 0 {
		return lost, nil
	}
	accepted, err := k.Target.PutDocument(ctx, doc, free...)
	return accepted.And(lost), err
}

// backUp saves the manifest that tag pointed to when the plan was made under its backup name. This
// costs one GET and one PUT.
func (k *backupTarget) backUp(ctx context.Context, tag string) error {
	s, has := k.steps[tag]
	if !has {
		return nil
	}
	old, err := k.at.Document(ctx, string(s.Replaces))
	if err == nil {
		var accepted oci.Accepted
		if accepted, err = k.at.PutDocument(ctx, old, s.Backup); err == nil {
			err = accepted.Failed[s.Backup]
		}
	}
	if err != nil {
		return &fault.Fault{
			Kind: fault.KindOf(err),
			Side: fault.Target,
			Op:   "back up " + s.To.String() + " as",
			Name: s.Backup,
			Hint: fault.HintOf(err),
			Err:  err,
		}
	}
	return nil
}
