package survey

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/lock"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// CheckTargets finds what prevents the steps of p from moving names, and breaks these steps.
func CheckTargets(ctx context.Context, s *place.Session, p plan.Plan, elsewhere Elsewhere) error {
	d := &Draft{Plan: p, session: s, elsewhere: elsewhere}
	return d.checkTargets(ctx)
}

// checkTargets finds what prevents the steps from moving names: locked tags, and backup names that
// already hold something else. It also finds sparse indexes whose images the target does not have.
func (p *Draft) checkTargets(ctx context.Context) error {
	if err := p.session.Fit(ctx, p.Steps); err != nil {
		return err
	}
	if err := trim.FillSparse(ctx, p.session, p.Steps); err != nil {
		return err
	}
	var parts trim.Count
	parts.Add(p.Steps)
	p.Notes = append(p.Notes, parts.Notes()...)
	if err := lock.Check(ctx, p.session, p.Verb, p.Steps); err != nil {
		return err
	}
	names := p.Backup.Name(p.Steps)
	if len(names) == 0 {
		return nil
	}
	held, err := Targets(ctx, p.session, names, "")
	if err != nil {
		return err
	}
	if p.elsewhere == nil {
		plan.SeeBackups(p.Verb, p.Steps, held)
		return nil
	}
	all := slices.Clone(p.Steps)
	for _, n := range names {
		if d, set := p.elsewhere(n); set {
			all = append(all, plan.Step{Action: plan.Copy, From: ref.Name{Digest: string(d)}, To: n})
		}
	}
	plan.SeeBackups(p.Verb, all, held)
	copy(p.Steps, all)
	return nil
}

// backupTaken returns the error for a backup name that now holds something else.
func backupTaken(s plan.Step, holds oci.Digest) error {
	return Moved(fault.Target, s.Kept(), "", string(holds))
}

// BackupFree checks a step of a plan file against its target: the backup name must be free, or must
// already hold the digest that is to be kept.
func BackupFree(ctx context.Context, s *place.Session, step plan.Step) error {
	if step.Backup == "" || step.Impossible() {
		return nil
	}
	now, err := Target(ctx, s, step.Kept(), "")
	if err == nil && now.Digest != "" && now.Digest != step.Replaces {
		err = backupTaken(step, now.Digest)
	}
	return err
}

// RecheckBackups looks up the backup names of all steps. It writes an error into failed for each
// step whose backup name is taken.
func RecheckBackups(ctx context.Context, steps []plan.Step, failed map[int]error, s *place.Session) error {
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
	dst, err := Again(ctx, s, fault.Target, names)
	for _, i := range at {
		step := steps[i]
		if lost := dst.lost[step.Kept()]; lost != nil {
			failed[i] = lost
		} else if d := dst.Inv[step.Kept()].Digest; d != "" && d != step.Replaces {
			failed[i] = backupTaken(step, d)
		}
	}
	return err
}

var errNoForce = errors.New("a backup is only made of a tag that is overwritten, and this request overwrites none")

// CheckRules refuses an invalid template of backups, a template in a request that overwrites nothing, and an
// invalid choice of referrers or platforms.
func CheckRules(r Rules) error {
	if r.Backup != (plan.Backup{}) && r.Overwrite == plan.Refuse {
		return &fault.Fault{
			Kind: fault.Invalid, Op: r.Verb, Hint: "leave the backup out, or allow tags to be overwritten",
			Err: errNoForce,
		}
	}
	return cmp.Or(r.Backup.Check(), r.Referrers.Check(), r.Platforms.Check())
}
