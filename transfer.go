package dray

import (
	"context"
	"iter"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/migrate"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// TransferRequest asks to copy whole registries, or parts of them, to one or more targets.
type TransferRequest struct {
	// Sources are "HOST" for all repositories that the registry lists, "HOST/PREFIX/" for those below
	// a prefix, or "HOST/REPO" for one repository. A single repository is copied whatever Selection
	// says about repositories. HOST may be a key of Config.Registries.
	Sources []string

	// Target is "HOST", where repositories keep their paths, "HOST/PREFIX/", which is put before the
	// paths, or "HOST/REPO" if all Sources are "HOST/REPO". If a source lists a whole registry and the
	// target is a prefix in the same registry, repositories below that prefix are not copied: they are
	// copies themselves.
	Target string

	// Also names more targets, in the form of Target. An image is read once for all targets. Each
	// target has its own steps: if one of them fails, the others continue.
	Also []string

	// Prefer orders the sources, for the case that several of them have different content for one
	// target name: the first wins. Its entries have the form of Sources. A source that no entry covers
	// comes last. If sources of the same rank differ, that name is a [fault.Conflict].
	Prefer []string

	// InUse restricts the transfer to images in use: the tags that point to them and, by digest, the
	// images that no such tag points to. The report names the images that are lost.
	InUse plan.InUse

	// Selection says which repositories and tags to copy. If Selection.Repository is set, a source
	// "HOST" is not listed.
	Selection plan.Selection

	Mapping plan.Mapping // renames repositories
	Map     plan.TagMap  // renames tags

	Overwrite plan.Overwrite // "" means plan.Update
	Backup    plan.Backup    // how to keep a tag that is overwritten; not with plan.Refuse

	// CopyLocks locks tags at the target as they are locked at the source. Both must be Azure
	// container registries.
	CopyLocks bool

	// Referrers chooses which signatures and other referrers travel with an image. The zero value means
	// all of them, with each image that moves.
	Referrers plan.Referrers

	// Platforms chooses which platforms of an image are copied. The zero value means all of them. Not with
	// Incremental.
	Platforms plan.Platforms

	// Proof says how to make sure that a target has a blob. "" means Sized with plan.Always, and else
	// Claimed.
	Proof Proof

	// Heal also checks the content of names that are up to date, as Dray.Verify does with Deep, and
	// sends what is missing. It is an error for Dray.PlanTransfer.
	Heal bool

	// Delay is the pause between the end of an image and the beginning of the next; 0 means no pause.
	// Each of the Limits.Images that are copied at the same time pauses on its own. If Limits.Images
	// is 0, a Delay makes it 1.
	Delay time.Duration

	// Incremental lists only the tags that were set since the last time that all of a repository was
	// copied to its target. This needs Config.StateDir, and a registry that can list the newest tags
	// first, as Azure's can. Every seven days, all tags are listed. Only then does the transfer notice
	// what someone else changed at the target, and tags that were removed. Incremental can be used
	// with one target, with rules about repositories and with Mapping. Anything else is
	// [fault.Invalid].
	Incremental bool

	// SkipBroken leaves out tags that a source lists and whose manifest does not exist; the report
	// names them. Otherwise such a tag is a failed step. It costs one request for each tag, even if the
	// listing has its digest.
	SkipBroken bool

	// Strict makes a source repository without tags an error if it comes from a list of repositories.
	// Otherwise the report names it. An interrupted push leaves such a repository behind.
	Strict bool

	// Explain receives the reasons why each repository and each tag is copied or not, one call at a
	// time: first for the repositories, then for the tags of each repository, in their order. nil
	// means that no one needs the reasons.
	Explain func(plan.Explain)

	// Gate decides which images may move, after Config.Gate; nil admits all.
	Gate gate.Gate

	SourceLogin *credential.Login // nil means Config.Logins
	TargetLogin *credential.Login // nil means Config.Logins

	// Part limits the request to a part that [Dray.SplitTransfer] made of the same request. Then the
	// registries are not listed again. nil means all of the request.
	Part *Part
}

// PlanTransfer plans a transfer. It compares all sources with the targets and calls visit with the plan
// of each target repository, in the order of their names. The targets of one source follow one another.
// If visit returns an error, PlanTransfer stops and returns it. It writes nothing, and it holds only a
// few repositories in memory at a time.
//
// If a registry lists digests, PlanTransfer reads its listing. Otherwise it makes one HEAD request for
// each tag. It reads manifests only if Selection needs times that no listing contains.
//
// If a repository or a tag cannot be read, it becomes a step with the action [plan.Broken], and
// PlanTransfer continues. Only if a list of repositories cannot be read, PlanTransfer ends with an error.
func (d *Dray) PlanTransfer(
	ctx context.Context, req TransferRequest, obs event.Observer, visit func(RepositoryPlan) error,
) (TransferReport, error) {
	req.Referrers, req.Platforms = d.Choices(req.Referrers, req.Platforms)
	return migrate.Plan(ctx, d.base, d.names, migrate.Request(req), obs, visit)
}

// Transfer plans like [Dray.PlanTransfer] and carries the plans out, repository by repository. It copies
// up to Limits.Images images at the same time. It calls visit with each target repository when that is
// done, one call at a time: the repositories in the order in which they end, their steps in the order of
// the plan. If visit returns an error, Transfer stops.
//
// Each blob is sent to a registry once. Other repositories that need it mount it.
//
// The error is that of the first step that failed, or nil if all steps ended as planned. A step that
// fails does not stop the others. Transfer can be run again at any time: what the target has is not sent
// again.
func (d *Dray) Transfer(
	ctx context.Context, req TransferRequest, obs event.Observer, visit func(RepositoryReport) error,
) (TransferReport, error) {
	req.Referrers, req.Platforms = d.Choices(req.Referrers, req.Platforms)
	return migrate.Transfer(ctx, d.base, d.names, migrate.Request(req), obs, visit)
}

// SplitTransfer divides a transfer into parts that several processes can carry out at the same time, in any order. Each
// of them calls [Dray.Transfer] with the same request and a [TransferRequest.Part], and [Dray.SumTransfer] adds up the
// reports. The result is that of one Transfer.
//
// SplitTransfer lists the registries, and checks what concerns the whole request: rules about repositories, mappings,
// locks, and names that collide. It copies nothing. A part has repositories that share no source with other parts, so
// that each source is read by one part. There are at most 1000 parts, and none if there is nothing to copy. The report
// has the requests and the notes of this. It is the first report for SumTransfer.
//
// Some requests cannot be divided: with a Delay, which is a pause between all images; with
// Selection.MaxRepositories, which stops at a repository that depends on those before it; and with an end on
// disk. They get a single part with [Part.Whole].
//
// The error is that of a list that cannot be read, or of a check.
func (d *Dray) SplitTransfer(
	ctx context.Context, req TransferRequest, obs event.Observer,
) ([]Part, TransferReport, error) {
	req.Referrers, req.Platforms = d.Choices(req.Referrers, req.Platforms)
	return migrate.Split(ctx, d.base, d.names, migrate.Request(req), obs)
}

// SumTransfer adds up the reports of a divided transfer: first that of [Dray.SplitTransfer], then those of the parts, in
// any order. It makes no requests. A report may have been stored as JSON in between. The sum is that of one Transfer,
// except that its Retags and notes follow the order of reports. A blob that parts in several processes
// need at the same time may be sent by each of them, and counts as often.
//
// Here the rules about tags are checked that match nothing in any part. The error is that of [Dray.Transfer]: that of
// such a check, or of the first report with a failed step. It is [fault.Canceled] if reports are missing, and
// [fault.Invalid] for a report without [TransferReport.Pending]. If reports returns an error, SumTransfer ends with it.
func (d *Dray) SumTransfer(req TransferRequest, reports iter.Seq2[TransferReport, error]) (TransferReport, error) {
	return migrate.Sum(d.base, d.names, migrate.Request(req), reports)
}

// End is a source or a target of a transfer. It is the repository Repo or, if Repo is zero, all
// repositories of Host whose path begins with Prefix ("" or "team/").
type End struct {
	Host   string
	Prefix string
	Repo   ref.Repo
}

// TransferEnds returns the sources and the targets that req names, with req.Target as the first target.
// It makes no requests. A server uses it to decide whether a caller may make the request. obs gets the notes
// about names; nil makes none. The error is [fault.Invalid].
func (d *Dray) TransferEnds(req TransferRequest, obs event.Observer) (sources, targets []End, err error) {
	from, to, err := migrate.Ends(d.base, d.names, migrate.Request(req), obs)
	for _, e := range from {
		sources = append(sources, End(e))
	}
	for _, e := range to {
		targets = append(targets, End(e))
	}
	return sources, targets, err
}
