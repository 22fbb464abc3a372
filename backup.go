package dray

import (
	"context"
	"errors"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// see asks what stands in the way of moving names: locks, and names that are to keep
// what others hold and are taken.
func (p *Draft) see(ctx context.Context) error {
	if err := p.seeLocks(ctx); err != nil {
		return err
	}
	names := p.Backup.Name(p.Steps)
	if len(names) == 0 {
		return nil
	}
	held, err := p.session.surveyTargets(ctx, names, "")
	if err == nil {
		plan.SeeBackups(p.Verb, p.Steps, held)
	}
	return err
}

// backupTaken says that a name which is to keep what s replaces holds something else by now.
func backupTaken(s plan.Step, holds oci.Digest) error {
	return moved(fault.Target, s.Kept(), "", string(holds))
}

// keeper is a repository in which some tags are kept under another name before they move.
type keeper struct {
	transfer.Target
	at    place
	steps map[string]plan.Step // by tag, those with a Backup
}

// keeping wraps to, which is at, if a step of e has a Backup.
func (r *run) keeping(e *end, at place, to transfer.Target) transfer.Target {
	k := &keeper{Target: to, at: at, steps: map[string]plan.Step{}}
	for _, i := range e.steps {
		if s := r.plan.Steps[i]; s.Backup != "" {
			k.steps[s.To.Tag] = s
		}
	}
	if len(k.steps) == 0 {
		return to
	}
	return k
}

// PutDocument leaves a tag alone that can not be kept first.
func (k *keeper) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	var free []string
	var lost oci.Accepted
	for _, tag := range tags {
		if err := k.keep(ctx, tag); err == nil {
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

// keep puts what tag held when the plan was made under its backup: one GET and one PUT.
func (k *keeper) keep(ctx context.Context, tag string) error {
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
		return &fault.Fault{Kind: fault.KindOf(err), Side: fault.Target, Op: "keep " + s.To.String() + " as", Name: s.Backup, Err: err, Hint: fault.HintOf(err)}
	}
	return nil
}

// backupFree holds a plan of a file against its target: the name of a backup is free, or holds what is to be kept.
func (s *session) backupFree(ctx context.Context, step plan.Step) error {
	if step.Backup == "" || step.Action == plan.Broken {
		return nil
	}
	now, err := s.lookAtTarget(ctx, step.Kept(), "")
	if err == nil && now.Digest != "" && now.Digest != step.Replaces {
		err = backupTaken(step, now.Digest)
	}
	return err
}

// recheckBackups looks at the names of all backups, and writes into failed the steps whose name is taken.
func recheckBackups(ctx context.Context, steps []plan.Step, failed map[int]error, s *session) error {
	var names []ref.Name
	var at []int
	for i, step := range steps {
		if step.Backup != "" && step.Moves() && failed[i] == nil {
			names = append(names, step.Kept())
			at = append(at, i)
		}
	}
	if len(names) == 0 {
		return nil
	}
	dst, err := s.lookAgain(ctx, fault.Target, names)
	for _, i := range at {
		step := steps[i]
		if lost := dst.lost[step.Kept()]; lost != nil {
			failed[i] = lost
		} else if d := dst.inv[step.Kept()].Digest; d != "" && d != step.Replaces {
			failed[i] = backupTaken(step, d)
		}
	}
	return err
}

var errNoForce = errors.New("nothing is overwritten, so nothing is to be kept")

// checkBackup refuses a template that is none, and one where nothing will be overwritten.
func checkBackup(r Rules) error {
	if r.Backup != (plan.Backup{}) && r.Overwrite == plan.Refuse {
		return &fault.Fault{Kind: fault.Invalid, Op: r.Verb, Err: errNoForce, Hint: "leave the backup out, or let tags be overwritten"}
	}
	return r.Backup.Check()
}
