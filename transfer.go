package dray

import (
	"context"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/migrate"
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
	Proof     Proof          // "" is transfer.Sized with plan.Always, else transfer.Claimed
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

// PlanTransfer looks at all sources and the target side by side and calls visit with each
// target repository in the order of their names, those of one source one after another,
// until visit returns an error, and returns that. Nothing is written. At most a handful of repositories is held at a time.
//
// Where a registry lists digests its listing is read, else each tag is asked for with one
// HEAD; no manifest is read, but where Selection asks for times that no listing tells. A
// repository or tag that could not be looked at is a Broken step and stops nothing else:
// only a list of repositories that could not be read ends the whole.
func (d *Dray) PlanTransfer(ctx context.Context, req TransferRequest, obs event.Observer, visit func(RepositoryPlan) error) (TransferReport, error) {
	return migrate.Plan(ctx, d.base, d.names, migrate.Request(req), obs, visit)
}

// Transfer does what PlanTransfer plans, repository by repository, and calls visit with
// each when it is done, one call at a time, until visit returns an error. Repositories
// come as they end; their steps in the plan's order. Limits.Images are in flight at once.
//
// Each blob is sent once to a registry: repositories that share it mount it. The error is
// nil when every step ended as planned, else that of the first step that failed; what
// else failed went on. Transfer may be run again at any time: what is there is not sent.
func (d *Dray) Transfer(ctx context.Context, req TransferRequest, obs event.Observer, visit func(RepositoryReport) error) (TransferReport, error) {
	return migrate.Transfer(ctx, d.base, d.names, migrate.Request(req), obs, visit)
}

// End is one end of a transfer as it was read: the repository Repo alone, or, where that is
// zero, all repositories of Host whose path begins with Prefix ("" or "team/").
type End struct {
	Host   string
	Prefix string
	Repo   ref.Repo
}

// TransferEnds returns what Sources and targets of req name, the Target first. Nothing is asked
// of a registry: it is for those who decide whether a request may be made. The error is Invalid.
func (d *Dray) TransferEnds(req TransferRequest) (sources, targets []End, err error) {
	from, to, err := migrate.Ends(d.base, d.names, migrate.Request(req))
	for _, e := range from {
		sources = append(sources, End(e))
	}
	for _, e := range to {
		targets = append(targets, End(e))
	}
	return sources, targets, err
}
