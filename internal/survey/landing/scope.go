package landing

import (
	"context"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/idle"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/lock"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Scope holds what the surveys of all landings of one transfer share.
type Scope struct {
	Base *place.Base

	Selection   plan.Selection
	InUse       plan.InUse
	Map         plan.TagMap
	Overwrite   plan.Overwrite
	Backup      plan.Backup
	Referrers   plan.Referrers
	Trimmer     *trim.Trimmer // finds out what is copied of each image
	CopyLocks   bool
	Incremental bool // list only what changed, if it is known what was copied before
	Explained   bool // the caller wants to know why each tag is selected or not
	SkipBroken  bool // see survey.Rules; the names are in Surveyed.Skipped
	Strict      bool // a repository of Cataloged without tags is an error

	// Cataloged holds the sources that come from a list of repositories, which may also have
	// repositories that no tag was ever pushed to.
	Cataloged map[ref.Repo]bool

	// Rank orders sources that have different content for one name: the lowest rank is used.
	Rank func(ref.Repo) int

	// Named holds the sources that the request names, and that no listing of repositories contained.
	Named map[ref.Repo]bool

	idle    *idle.Tags
	lookups map[fault.Side]chan struct{} // semaphores that limit the lookups at each side
}

// NewScope returns a copy of s that is ready for use.
func NewScope(s Scope) *Scope {
	s.Named, s.idle, s.Map = map[ref.Repo]bool{}, &idle.Tags{}, s.Map.Indexed()
	s.lookups = map[fault.Side]chan struct{}{
		fault.Source: make(chan struct{}, survey.MaxLookups),
		fault.Target: make(chan struct{}, survey.MaxLookups),
	}
	return &s
}

// IdleTags returns a line for each rule about tags that matches no tag of the sources so far, and one if
// they have no tags.
func (s *Scope) IdleTags() []string {
	lines := s.idle.Lines(s.Selection, s.Map)
	if s.idle.Empty() && !s.Selection.Untagged && len(s.InUse.Images) == 0 {
		lines = append(lines, "the sources have no tags")
	}
	return lines
}

// TagShare returns what is known about the rules about tags, for AddTags of the scope of another part of the transfer.
func (s *Scope) TagShare() idle.Share { return s.idle.Share() }

// AddTags adds what the scope of a part with other sources knows.
func (s *Scope) AddTags(t idle.Share) { s.idle.Add(t) }

// acquireLookup waits until another name may be looked up at a side. The caller must call done when
// the lookup has ended.
func (s *Scope) acquireLookup(ctx context.Context, side fault.Side) (done func(), err error) {
	select {
	case s.lookups[side] <- struct{}{}:
		return func() { <-s.lookups[side] }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Surveyed is the plan of one target repository, and what was learned while the plan was made.
type Surveyed struct {
	plan.Repository

	Explains []plan.Explain
	Notes    []string
	Skipped  []ref.Name // tags that SkipBroken leaves out
	Empty    []ref.Repo // Cataloged sources without tags
	Session  *place.Session
	Mark     *Mark

	// Sets reports whether a step of the landing copies a tag of a source under the same name; nil if the steps are all
	// that it has.
	Sets func(from ref.Repo, tag string) bool
}

// Landing is the survey of one landing: its sources, and the target that receives what is selected
// of them. After Survey, its steps are made range by range.
type Landing struct {
	*Scope
	Of   plan.Landing
	Into *Surveyed

	from   *sources                  // shared with the landings of the same sources; nil before Survey
	target listed                    // what the target lists
	late   map[string]oci.Descriptor // what it has besides
	lost   map[string]error          // tags of it that could not be looked up

	locks   *lock.Locks             // of both sides, if they are copied
	backups map[ref.Name]oci.Digest // that the ranges so far make

	mu    sync.Mutex
	at    ref.Repo // the source to name next to the target in an error
	Extra int      // number of tags that only the target has
}

// sources is what is known of the sources of some landings.
type sources struct {
	at      map[ref.Repo]place.Repository
	wants   *listing.Wants
	failed  map[listing.Place]error // tags that could not be looked up; nil for those that do not exist
	skipped map[listing.Place]bool  // tags that SkipBroken leaves out

	// lists holds the lists of referrers that are not copied as tags, and unsure why nobody knows whether a tag is one.
	lists  map[oci.Digest]bool
	unsure map[ref.Name]error

	// byDigest holds what is copied by digest; nil if it is not known yet.
	byDigest map[ref.Repo]*byDigest
}

// listed holds the tags that one repository lists.
type listed struct {
	at   place.Repository
	tags *listing.List
	part bool // the listing is not complete: each wanted name is looked up with a request
}

// byDigest holds the content of a source repository that is to be copied by digest.
type byDigest struct {
	running   plan.Inventory     // images in use without a selected tag
	manifests []oci.Listed       // manifests without a tag
	parents   []oci.Descriptor   // descriptors that may be an index, with a tag or without
	broken    map[ref.Name]error // images in use that could not be looked up
}

// Mark records up to which time a source is copied when all steps of a landing are done.
type Mark struct {
	From, To ref.Repo
	Now      ledger.Mark
}
