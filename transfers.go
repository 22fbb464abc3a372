package dray

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// RepositoryPlan is what is to be done about one target repository. Its steps are those
// of a plan whose verb is "transfer" and whose hold is plan.Each. A step that is Broken
// and has no tag says why the repository could not be planned.
type RepositoryPlan struct {
	To    ref.Repo
	From  []ref.Repo // in the order of their names
	Steps []plan.Step
}

// Needs reports whether something is to be done.
func (p RepositoryPlan) Needs() bool { return slices.ContainsFunc(p.Steps, plan.Step.Works) }

// RepositoryReport is what was done about one target repository, step by step.
type RepositoryReport struct {
	To    ref.Repo
	From  []ref.Repo // of which steps came
	Steps []StepReport
	Took  time.Duration // from the first look at its images to the last name
}

// TransferReport adds up a transfer. It holds no list of steps: visit was told them.
type TransferReport struct {
	Verb         string              `json:"verb"`
	Repositories int                 `json:"repositories"`       // target repositories that were looked at
	Actions      map[plan.Action]int `json:"actions"`            // planned steps by action
	States       map[State]int       `json:"states,omitempty"`   // steps by how they ended; empty for a plan
	Retagged     int                 `json:"retagged"`           // steps that move a name from one digest to another
	Locked       int                 `json:"locked,omitempty"`   // names on which something was, or is to be, locked
	Retags       []Retag             `json:"retags,omitempty"`   // those of them, up to MaxRetags
	Healed       int                 `json:"healed,omitempty"`   // steps that were right, and below which something was lacking; see TransferRequest.Heal
	Unproven     int                 `json:"unproven,omitempty"` // steps that were right, and whose content nobody is known to have proven
	Untagged     int                 `json:"untagged,omitempty"` // steps without a tag: content goes by digest
	InUse        *InUseReport        `json:"inUse,omitempty"`
	Blobs        oci.Blobs           `json:"blobs,omitzero"`  // of all images
	Traffic      map[string]Traffic  `json:"traffic"`         // by registry host, planning included
	Pulls        map[string]Pulls    `json:"pulls,omitempty"` // by registry host, of those that count them: docker.io
	Notes        []string            `json:"notes,omitempty"` // what a person should know
	Took         time.Duration       `json:"tookNanoseconds"`
	Err          error               `json:"-"` // of the first step that failed; the transfer went on after it
}

// MaxRetags is how many re-tagged names a TransferReport lists; all are counted, and all are among the steps.
const MaxRetags = 10_000

// Retag is a name that held something else.
type Retag struct {
	From  ref.Name `json:"from"`
	To    ref.Name `json:"to"`
	Was   string   `json:"was"`
	Is    string   `json:"is"`
	Kept  string   `json:"kept,omitempty"`  // the tag that keeps Was
	State State    `json:"state,omitempty"` // "" in a plan
}

// planTransfer calls visit with the plan of each target repository.
func planTransfer(ctx context.Context, b *base, names *reader, req sweepRequest, obs event.Observer, visit func(RepositoryPlan) error) (TransferReport, error) {
	r := newTransferring(b, names, req, obs)
	if err := r.checkHeal(); err != nil {
		return r.endPlan(err)
	}
	err := r.planAll(ctx, func(_ context.Context, part []surveyed) error {
		for _, p := range part {
			if err := visit(p.RepositoryPlan); err != nil {
				return err
			}
		}
		return nil
	})
	return r.endPlan(err)
}

// transferAll does what planTransfer plans, and calls visit with each target repository when it is done.
func transferAll(ctx context.Context, b *base, names *reader, req sweepRequest, obs event.Observer, visit func(RepositoryReport) error) (TransferReport, error) {
	r := newTransferring(b, names, req, obs)
	r.visit = visit
	w := r.newWorkers(ctx)
	err := r.planAll(w.ctx, func(_ context.Context, part []surveyed) error {
		return w.start(func(ctx context.Context) error { return r.apply(ctx, joined(part)) })
	})
	err = cmp.Or(w.wait(), err)
	if ctx.Err() != nil {
		err = canceled(ctx, "transfer")
	}
	return r.end(err)
}

func canceled(ctx context.Context, verb string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: verb, Err: context.Cause(ctx)}
}

var (
	errEnough = errors.New("enough") // ends the planning at Selection.MaxRepositories
	errTwice  = errors.New("two targets are one place")
)

// planAll plans each landing, and hands the plans out in their order, those of one reading together.
func (r *transferring) planAll(ctx context.Context, take func(context.Context, []surveyed) error) error {
	if err := cmp.Or(checkBackup(r.rules()), r.checkIncremental()); err != nil {
		return err
	}
	landings, err := r.landings(ctx)
	if err == nil {
		err = cmp.Or(r.checkLocking(landings), r.follow())
	}
	if err == nil {
		err = r.checkCollisions(ctx, landings)
	}
	if err != nil {
		return err
	}
	needing := 0
	err = inOrder(ctx, planning, together(landings), r.planPart, func(ctx context.Context, part []surveyed) error {
		if ctx.Err() != nil {
			return canceled(ctx, "plan transfer")
		}
		if most := r.req.Selection.MaxRepositories; most > 0 && slices.ContainsFunc(part, surveyed.Needs) {
			if needing++; needing > most {
				r.report.note("more repositories need work than the %d of --max-repositories: they are left for another run", most)
				return errEnough
			}
		}
		for _, p := range part {
			r.running.see(p.From, p.Steps)
			r.explain(p.explains...)
			r.report.planned(p.Steps, p.notes)
		}
		return take(ctx, part)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil {
		r.report.sum.InUse = r.running.end()
	}
	return err
}

func (r *transferring) explain(all ...plan.Explain) {
	for _, e := range all {
		if r.req.Explain != nil {
			r.req.Explain(e)
		}
	}
}
