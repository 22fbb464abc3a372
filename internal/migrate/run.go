package migrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/idle"
	"github.com/drayage/dray/internal/migrate/total"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// maxPlanning limits how many repositories are surveyed in parallel. Their plans are held in memory.
const maxPlanning = 16

// transferring is the state of one transfer, or of one application of a plan file.
type transferring struct {
	*landing.Scope
	req      Request
	names    *name.Reader
	report   *total.Total
	whole    *place.Session // what all repositories share; nothing is opened in it
	images   *crew.Images
	hold     plan.Hold             // "" means plan.Each
	looks    bool                  // the plan is only shown: it also has what travels with the images
	selected int                   // the number of source repositories
	idle     []string              // lines about rules that match nothing, which are not reported yet
	part     []plan.Landing        // what this run does, if it is a part of a divided transfer
	divided  bool                  // this run is a part, or divides: what concerns all parts is left to their sum
	splits   bool                  // this run divides
	parts    int                   // into which it divides
	complete bool                  // all sources were looked at
	trims    trim.Count            // of the plans
	digests  map[string]oci.Digest // what a verification found, by target repository

	paths   map[ref.Repo]string // sources on disk, and the repository path of each
	running *running            // nil if the request does not list images in use

	order    listing.Order // in which the steps of a large repository are planned
	counting sync.Mutex    // held while a plan is counted
	visiting sync.Mutex    // held during visit: one call at a time
	visit    func(report.Repository) error
}

// running tracks which of the images in use are copied.
type running struct {
	images    []ref.Name
	elsewhere int
	looked    map[ref.Repo]bool // sources that were surveyed
	found     map[ref.Name]bool
}

// Request holds the settings of a transfer. They are documented at the public TransferRequest.
type Request struct {
	Sources []string
	Target  string
	Also    []string
	Prefer  []string

	InUse     plan.InUse
	Selection plan.Selection
	Mapping   plan.Mapping
	Map       plan.TagMap

	Overwrite   plan.Overwrite
	Backup      plan.Backup
	CopyLocks   bool
	Referrers   plan.Referrers
	Platforms   plan.Platforms
	Proof       oci.Proof
	Heal        bool
	Delay       time.Duration
	Incremental bool
	SkipBroken  bool
	Strict      bool
	Explain     func(plan.Explain)
	Gate        gate.Gate

	SourceLogin *credential.Login
	TargetLogin *credential.Login

	Part *report.Part
}

func newTransferring(b *place.Base, names *name.Reader, req Request, obs event.Observer) *transferring {
	req.Overwrite = cmp.Or(req.Overwrite, plan.Update)
	sum := total.New("transfer")
	whole := b.Begin(req.SourceLogin, req.TargetLogin, sum.Watch(obs))
	whole.GatedBy(req.Gate)
	r := &transferring{
		Scope:  newScope(b, req),
		req:    req,
		names:  names.Noting(obs),
		report: sum,
		whole:  whole,
		images: crew.NewImages(b, req.Delay),
	}
	if p := req.Part; p != nil {
		whole.Join(p.Of)
		r.part, r.divided = p.Landings, !p.Whole
	}
	return r
}

// trimmer returns what finds out what of the images of req is copied. A run that repairs the target does not believe
// it.
func trimmer(req Request) *trim.Trimmer {
	if req.Heal {
		return trim.Proving(req.Platforms)
	}
	return trim.For(req.Platforms, req.Overwrite, req.Referrers)
}

// newScope returns the part of req that the surveys need.
func newScope(b *place.Base, req Request) *landing.Scope {
	return landing.NewScope(landing.Scope{
		Base:        b,
		Selection:   req.Selection,
		InUse:       req.InUse,
		Map:         req.Map,
		Overwrite:   req.Overwrite,
		Backup:      req.Backup,
		Referrers:   req.Referrers,
		Trimmer:     trimmer(req),
		CopyLocks:   req.CopyLocks,
		Incremental: req.Incremental,
		Explained:   req.Explain != nil,
		SkipBroken:  req.SkipBroken,
		Strict:      req.Strict,
		Cataloged:   map[ref.Repo]bool{},
	})
}

// rules returns the rules for the plan of a landing.
func (r *transferring) rules() survey.Rules {
	return survey.Rules{Verb: "transfer", Overwrite: r.req.Overwrite, Backup: r.req.Backup, Referrers: r.req.Referrers,
		Platforms: r.req.Platforms}
}

// begin opens a session for one target repository.
func (r *transferring) begin() *place.Session { return r.whole.Another() }

// end makes the archives that were written, and completes the report. If err is nil, the error of the first
// failed step is returned.
func (r *transferring) end(ctx context.Context, err error) (report.Transfer, error) {
	for _, failed := range r.whole.Commit(ctx, func(end ref.Repo) bool { return r.report.Arrived[end] }) {
		err = cmp.Or(err, failed) // two archives in one run are rare, and the notes name both
	}
	sum, err := r.endPlan(err)
	return sum, cmp.Or(err, sum.Err)
}

// endPlan is end for a run that only plans: a step that cannot be applied is not an error there.
func (r *transferring) endPlan(err error) (report.Transfer, error) {
	r.whole.Shared.Keep()
	if !r.divided {
		r.report.End()
	}
	r.report.Mu.Lock()
	defer r.report.Mu.Unlock()
	r.report.Sum.Traffic, r.report.Sum.Pulls = r.whole.Traffic.Exchanged(), r.whole.Traffic.Pulls(r.Base)
	r.report.Sum.Took = time.Since(r.report.Began)
	if r.divided || r.req.Part != nil {
		r.report.Sum.Pending = r.pending(err).raw()
	}
	return r.report.Sum, err
}

// canceled returns the error of an operation whose context ended.
func canceled(ctx context.Context, verb string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: verb, Err: context.Cause(ctx)}
}

// brokenStep returns the only step of a landing whose survey failed.
func brokenStep(k *landing.Landing, err error) plan.Step {
	return plan.Step{
		Action:  plan.Broken,
		From:    k.Troubled(),
		To:      k.Of.To.Tagged(""),
		Problem: plan.ProblemOf(err),
	}
}

// explain reports why repositories and tags are selected or not, if the request asks for it.
func (r *transferring) explain(all ...plan.Explain) {
	for _, e := range all {
		if r.req.Explain != nil {
			r.req.Explain(e)
		}
	}
}

// idleRepositories collects the rules about repositories that match none of all, those that were listed.
func (r *transferring) idleRepositories(ctx context.Context, all, kept []string) {
	if len(all) == 0 {
		return
	}
	r.idle = append(r.idle, idle.Repositories(ctx, r.req.Selection, all)...)
	if len(kept) == 0 {
		r.idle = append(r.idle, fmt.Sprintf("none of the %d repositories of the sources is selected", len(all)))
	}
}

// idleRenames collects the rules that rename repositories and change none of the selected ones.
func (r *transferring) idleRenames(ctx context.Context, selected []ref.Repo) {
	var paths []string
	for _, repo := range selected {
		seen, _ := r.seen(repo)
		paths = append(paths, seen.Path)
	}
	if len(paths) > 0 {
		r.idle = append(r.idle, idle.Renames(ctx, r.req.Mapping, paths)...)
	}
}

// noteUnused notes that rules about repositories do not count, since nothing is listed.
func (r *transferring) noteUnused(sources []name.End) {
	sel := r.req.Selection
	rules := len(sel.Ignore)+len(sel.IncludeRepositories)+len(sel.ExcludeRepositories) > 0 || sel.Letters.String() != ""
	lists := func(s name.End) bool { return !s.Single() && (sel.Repository == "" || s.OnDisk()) }
	switch {
	case rules && !slices.ContainsFunc(sources, lists):
		r.report.Notef("the rules about repositories have no effect: each repository is named")
	case sel.Repository != "" && !slices.ContainsFunc(sources, func(s name.End) bool { return !s.Single() }):
		r.report.Notef("repository %q has no effect: the sources name repositories", sel.Repository)
	}
}

// idleTags collects the rules about tags that match no tag of the sources.
func (r *transferring) idleTags() { r.idle = append(r.idle, r.IdleTags()...) }

// checkMatches notes which rules match nothing. It returns an error if the request requires that each of
// them matches. Selection.MinTags also requires that a repository is selected.
func (r *transferring) checkMatches() error {
	lines := r.idle
	r.idle = nil
	for _, line := range lines {
		r.report.Notef("%s", line)
	}
	sel := r.req.Selection
	if len(lines) == 0 || !sel.RequireMatch && (r.selected > 0 || sel.MinTags == 0) {
		return nil
	}
	why := "at least one tag is required"
	if sel.RequireMatch {
		why = "each rule must match something"
	}
	return &fault.Fault{
		Kind: fault.Refused,
		Side: fault.Source,
		Op:   "select",
		Name: strings.Join(r.req.Sources, " "),
		Hint: r.Base.Words.Rule(),
		Err:  fmt.Errorf("%s: %s", why, strings.Join(lines, "; ")),
	}
}

// onDisk is the host of repositories on disk while their paths are mapped, if their names have none.
const onDisk = "oci"

// seen returns the repository that rules and mappings see for a source: on disk, it is the one that the names of the
// images have. ok is false if their names are tags.
func (r *transferring) seen(repo ref.Repo) (seen ref.Repo, ok bool) {
	switch {
	case repo.Host == r.Base.Unnamed:
		return ref.Repo{Host: onDisk, Path: repo.Path}, true
	case !repo.IsLayout():
		return repo, true
	}
	host, path := repo.Named()
	if path == "" {
		path = r.paths[repo]
	}
	if host == "" {
		host = onDisk
	}
	return ref.Repo{Host: host, Path: path}, path != ""
}

// pending returns what is left to the sum. err is why the run ended before its time. The caller holds r.report.Mu.
func (r *transferring) pending(err error) pending {
	p := pending{
		Whole: !r.divided, Plans: r.looks, Began: r.report.Began, Ended: time.Now(), Complete: r.complete,
		Step: problemOf(r.report.Sum.Err), Problem: problemOf(err),
	}
	switch {
	case r.splits: // the parts see the tags again that a check of all of them saw
		p.Split, p.Parts, p.Selected = true, r.parts, r.selected
	case r.divided:
		p.Tags, p.Trims, p.Digests = r.TagShare(), r.trims, r.digests
	}
	return p
}
