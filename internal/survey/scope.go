package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/idle"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Rules holds the settings of a request that are not names.
type Rules struct {
	Verb      string // "import", "copy", "tag", "batch", "transfer"
	Overwrite plan.Overwrite
	Hold      plan.Hold // applies to several names; "" means plan.Each
	Backup    plan.Backup
	Map       plan.TagMap
	Referrers plan.Referrers
	Platforms plan.Platforms

	// SkipBroken leaves out tags that the source lists and whose manifest does not exist, and notes
	// their names. It costs one request for each tag, even if the listing has its digest.
	SkipBroken bool
}

func (r Rules) draft(s *place.Session) *Draft {
	p := plan.Plan{
		Verb: r.Verb, Overwrite: r.Overwrite, Backup: r.Backup, Hold: cmp.Or(r.Hold, plan.Each),
		Referrers: r.Referrers, Platforms: r.Platforms,
	}
	return &Draft{Plan: p, session: s, skipBroken: r.SkipBroken, stray: map[ref.Name]bool{}}
}

// Draft is a plan while it is made, with the session in which it is made.
type Draft struct {
	plan.Plan
	session *place.Session

	skipBroken bool
	stray      map[ref.Name]bool // sources of which only a host in between says that they do not exist
}

// trim finds out what of the images in src some platforms leave, and takes out those that stay behind: lost says why.
func (p *Draft) trim(
	ctx context.Context, of plan.Platforms, src, dst plan.Inventory, targets func(ref.Name) []ref.Name,
) (trims plan.Trims, lost map[ref.Name]error, err error) {
	a, err := trim.For(of, p.Plan.Overwrite, p.Plan.Referrers).Images(ctx, p.session, src, dst, targets)
	p.Notes = append(p.Notes, a.Notes...)
	p.LeftOut += a.Left
	return a.Trims, a.Lost, err
}

// gone returns the error for a tag that is listed, but whose manifest does not exist.
func gone(n ref.Name, words name.Words) error {
	return &fault.Fault{Kind: fault.NotFound, Side: fault.Source, Op: "resolve", Name: n.String(),
		Hint: "push the tag again or remove it at the source, or leave such tags out with " + words.SkipBroken(),
		Err:  errors.New("the registry lists this tag, but does not have its manifest")}
}

// goneNote returns the note for a tag that SkipBroken leaves out.
func goneNote(n ref.Name) string {
	return fmt.Sprintf("left out, because the registry lists this tag, but does not have its manifest: %s", n)
}

// maxLookups limits how many names all surveys of one transfer look up at once, at each side.
const maxLookups = 64

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
	SkipBroken  bool // see Rules; the names are in Surveyed.Skipped
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
		fault.Source: make(chan struct{}, maxLookups),
		fault.Target: make(chan struct{}, maxLookups),
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
}

// Landing is the survey of one landing: its sources, and the target that receives what is selected
// of them.
type Landing struct {
	*Scope
	Of   plan.Landing
	Into *Surveyed

	// byDigest holds what of the same sources is copied by digest; nil if it is not known yet.
	byDigest map[ref.Repo]*byDigest

	// lists holds the lists of referrers that are not copied as tags.
	lists map[oci.Digest]bool

	// seen holds what the same sources have, if another landing surveyed them before; else nil.
	seen       plan.Inventory
	seenBroken []plan.Step // the Broken steps of seen

	trims plan.Trims // which images are not copied whole

	mu     sync.Mutex
	at     ref.Repo // the source to name next to the target in an error
	broken []plan.Step
	Extra  int // number of tags that only the target has
}

// listing holds the tags that one repository lists.
type listing struct {
	at   place.Repository
	tags []oci.Listed
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
