package dray

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// TransferRequest asks that what registries or parts of them hold is at another one too.
type TransferRequest struct {
	// Sources are "HOST" for all repositories that it lists, "HOST/PREFIX/" for those
	// below a prefix, or "HOST/REPO" for one, which is taken whatever Selection says
	// about repositories. HOST may be a configured name.
	Sources []string

	// Target is "HOST", where repositories keep their paths, "HOST/PREFIX/", which is
	// put before them, or "HOST/REPO" where all Sources are "HOST/REPO". What a listing
	// of the same registry tells below that prefix is left out: it is what arrived there.
	Target string

	// Also names further targets, written like Target. An image is read once for all of
	// them, and each has its own steps: one that fails stops no other.
	Also []string

	// Prefer orders sources for the case that several bring different content to one
	// name: the first wins. Its entries are written like Sources; a source that none
	// of them covers comes last. Sources of one rank are a Conflict about that name.
	Prefer []string

	InUse     plan.InUse     // only what runs: tags that point to it, and by digest what no such tag names. What is lost is in the report
	Selection plan.Selection // with Repository set and a Source "HOST", nothing is listed
	Mapping   plan.Mapping
	Map       plan.TagMap // what the sources' tags become

	Overwrite plan.Overwrite // "" is plan.Update
	Backup    plan.Backup    // how a tag is kept that is overwritten; not with plan.Refuse
	CopyLocks bool           // what Azure's registries lock on the sources' tags is locked at the target; both have to be Azure's
	Proof     oci.Proof      // "" is transfer.Sized with plan.Always, else transfer.Claimed
	Heal      bool           // look below names that are right, as Verify does with Deep, and send what is lacking there; not for PlanTransfer
	Delay     time.Duration  // the rest between two images, for each of Limits.Images; 0 is none

	// Incremental lists only the tags that were set since the last time that all of a
	// repository was brought to its target, where the registry lists the newest first
	// (Azure's does) and Config.StateDir remembers; once in seven days, all. What somebody
	// else changed at the target since, and what vanished, shows then. It goes with one
	// target, with rules about repositories and with Mapping; the rest is Invalid.
	Incremental bool

	// Explain is told why each repository and each tag takes part or not, one call at a
	// time: first about repositories, then about the tags of each, in their order. nil asks nobody.
	Explain func(plan.Explain)

	SourceLogin *credential.Login // nil asks Config.Logins
	TargetLogin *credential.Login
}

// RepositoryPlan is what is to be done about one target repository. Its steps are those
// of a plan whose verb is "transfer" and whose hold is plan.Each. A step that is Broken
// and has no tag says why the repository could not be planned.
type RepositoryPlan struct {
	To    ref.Repo
	From  []ref.Repo // in the order of their names
	Steps []plan.Step

	explains []plan.Explain
	notes    []string
	session  *session
	mark     *mark
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

// PlanTransfer looks at all sources and the target side by side and calls visit with each
// target repository in the order of their names, those of one source one after another,
// until visit returns an error, and returns that. Nothing is written. At most a handful of repositories is held at a time.
//
// Where a registry lists digests its listing is read, else each tag is asked for with one
// HEAD; no manifest is read, but where Selection asks for times that no listing tells. A
// repository or tag that could not be looked at is a Broken step and stops nothing else:
// only a list of repositories that could not be read ends the whole.
func (d *Dray) PlanTransfer(ctx context.Context, req TransferRequest, obs event.Observer, visit func(RepositoryPlan) error) (TransferReport, error) {
	r := d.newTransferring(req, obs)
	if err := r.checkHeal(); err != nil {
		return r.end(err, false)
	}
	err := r.planAll(ctx, func(_ context.Context, part []RepositoryPlan) error {
		for _, p := range part {
			if err := visit(p); err != nil {
				return err
			}
		}
		return nil
	})
	return r.end(err, false)
}

// Transfer does what PlanTransfer plans, repository by repository, and calls visit with
// each when it is done, one call at a time, until visit returns an error. Repositories
// come as they end; their steps in the plan's order. Limits.Images are in flight at once.
//
// Each blob is sent once to a registry: repositories that share it mount it. The error is
// nil when every step ended as planned, else that of the first step that failed; what
// else failed went on. Transfer may be run again at any time: what is there is not sent.
func (d *Dray) Transfer(ctx context.Context, req TransferRequest, obs event.Observer, visit func(RepositoryReport) error) (TransferReport, error) {
	r := d.newTransferring(req, obs)
	r.visit = visit
	w := r.newWorkers(ctx)
	err := r.planAll(w.ctx, func(_ context.Context, part []RepositoryPlan) error {
		return w.start(func(ctx context.Context) error { return r.apply(ctx, joined(part)) })
	})
	err = cmp.Or(w.wait(), err)
	if ctx.Err() != nil {
		err = canceled(ctx, "transfer")
	}
	return r.end(err, true)
}

func canceled(ctx context.Context, verb string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: verb, Err: context.Cause(ctx)}
}

var (
	errEnough = errors.New("enough") // ends the planning at Selection.MaxRepositories
	errTwice  = errors.New("two targets are one place")
)

// planAll plans each landing, and hands the plans out in their order, those of one reading together.
func (r *transferring) planAll(ctx context.Context, take func(context.Context, []RepositoryPlan) error) error {
	if err := cmp.Or(checkBackupOf("transfer", r.req.Backup, r.req.Overwrite), r.checkIncremental()); err != nil {
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
	err = inOrder(ctx, planning, together(landings), r.planPart, func(ctx context.Context, part []RepositoryPlan) error {
		if ctx.Err() != nil {
			return canceled(ctx, "plan transfer")
		}
		if most := r.req.Selection.MaxRepositories; most > 0 && slices.ContainsFunc(part, RepositoryPlan.Needs) {
			if needing++; needing > most {
				r.report.note("more repositories need work than the %d of --max-repositories: they are left for another run", most)
				return errEnough
			}
		}
		for _, p := range part {
			r.running.see(p.From, p.Steps)
			r.explain(p.explains...)
			r.report.planned(p)
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
