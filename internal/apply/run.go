package apply

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Run is one application of a plan.
type Run struct {
	session     *place.Session
	Plan        *plan.Plan
	wantedProof oci.Proof

	// guard is that of the caller that applies the plan, which may differ from that of the caller
	// that made it.
	guard func(context.Context, []plan.Step) error
	words name.Words

	committed bool // the archives that were written have been made

	// Turn waits for a free place for the content of one image, of all places that several runs
	// share, and end frees it again. ok is false if the context ended first. nil does not limit the
	// number of images.
	Turn func(context.Context) (end func(), ok bool)

	// Sets reports whether a step of the plan sets a digest tag of a source, if this plan is one range of it: steps of
	// the other ranges count, too. nil means that the plan is whole.
	Sets func(from ref.Repo, tag string) bool

	// Earlier has the referrers that the ranges before this one sent. nil means that the plan is whole.
	Earlier *Referred

	finders  []*referrers.Finder // of what travels with the images, one for each choice
	tagSteps map[tagStep]bool

	wasUnseen map[int]ref.Name // the sources, which cannot be seen, of steps for which Azure was asked
	staged    []staged         // tags that Azure set for them

	carried map[ref.Repo][]ledger.Copied // by target, the digest tags that it has as a source has them

	mu      sync.Mutex
	sent    map[sent]*delivery
	Reports []report.Step
}

// NewRun returns a Run that applies p. With a nil session, one is opened when the plan is checked.
func NewRun(b *place.Base, s *place.Session, p *plan.Plan, believe oci.Proof) *Run {
	r := &Run{
		session:     s,
		Plan:        p,
		wantedProof: believe,
		guard:       b.Guard,
		words:       b.Words,
		Reports:     make([]report.Step, len(p.Steps)),
	}
	for i, step := range p.Steps {
		r.Reports[i] = report.Step{Step: step, State: report.NotStarted}
	}
	return r
}

// finderOf returns what finds the referrers that travel with the image of a step.
func (r *Run) finderOf(s plan.Step) *referrers.Finder {
	choice := r.Plan.ReferrersOf(s)
	return r.finders[slices.IndexFunc(r.finders, func(f *referrers.Finder) bool { return f.Choice().Equal(choice) })]
}

// overwrite returns the overwrite rule that applies to s.
func (r *Run) overwrite(s plan.Step) plan.Overwrite { return cmp.Or(s.Overwrite, r.Plan.Overwrite) }

// End records the result of step i, and reports it as an event. A step that failed because the caller
// gave up is not finished: it has no error, and there is no event of its end.
func (r *Run) End(i int, s report.State, err error) {
	if s == report.Failed && fault.Is(err, fault.Canceled) {
		s, err = report.NotFinished, nil
	}
	r.mu.Lock()
	r.Reports[i].State, r.Reports[i].Err = s, err
	step := r.Plan.Steps[i]
	pending := s == report.Done && step.To.IsMade() && !r.committed // see commit
	r.mu.Unlock()
	if s == report.NotFinished || pending {
		return
	}
	e := event.Event{
		Kind:   event.Finished,
		Step:   i,
		Name:   step.To.String(),
		Digest: string(step.Digest()),
		Err:    err,
	}
	if err != nil {
		e.Kind = event.Failed
	}
	r.session.Observe(e)
}

// commit makes the archives and directories that steps were done to. If that fails for one of them, all
// its steps fail, because nothing of them is there.
func (r *Run) commit(ctx context.Context) {
	arrived := map[ref.Repo]bool{}
	for _, rep := range r.Reports {
		if rep.State == report.Done && rep.To.IsMade() {
			arrived[rep.To.In("")] = true
		}
	}
	failed := r.session.Commit(ctx, func(end ref.Repo) bool { return arrived[end] })
	r.committed = true
	for i, rep := range r.Reports {
		if rep.State != report.Done || !rep.To.IsMade() {
			continue
		}
		if err := failed[rep.To.In("")]; err != nil {
			r.End(i, report.Failed, err)
		} else {
			r.End(i, report.Done, nil)
		}
	}
}

// FirstErr returns the error of the first step that failed or was not finished, or nil.
func (r *Run) FirstErr() error {
	for _, rep := range r.Reports {
		switch {
		case rep.Err != nil:
			return rep.Err
		case rep.State == report.NotFinished:
			return &fault.Fault{Kind: fault.Canceled, Op: r.Plan.Verb, Name: rep.To.String()}
		}
	}
	return nil
}

// Healed records what a check of the content below a name found, and whether it was repaired.
func (r *Run) Healed(i int, e report.Comparison) {
	r.Reports[i].Lacks = e.Match == report.Incomplete || e.Match == report.Corrupted
	switch {
	case e.Match == report.Same && e.Healed:
		r.Reports[i].Healed = true
		r.End(i, report.Done, nil)
	case e.Match == report.Same:
		r.Reports[i].Proven = true
	case e.Err != nil:
		r.End(i, report.Failed, e.Err)
	default:
		lack := fmt.Errorf("%d manifests or blobs of the image are missing", len(e.Lacks))
		if len(e.Lacks) > 0 {
			lack = fmt.Errorf("%w, the first is %s %s", lack, e.Lacks[0].What, e.Lacks[0].Digest)
		}
		r.End(i, report.Failed, &fault.Fault{
			Kind: fault.Corrupt,
			Side: fault.Target,
			Op:   "heal",
			Name: e.To.String(),
			Err:  lack,
		})
	}
}

// tagStep is a step that copies a digest tag under its own name.
type tagStep struct {
	from, to ref.Repo
	tag      string
}

func tagSteps(steps []plan.Step) map[tagStep]bool {
	all := map[tagStep]bool{}
	for _, s := range steps {
		if belongs, _ := oci.TaggedFor(s.From.Tag); belongs != "" && s.From.Tag == s.To.Tag {
			all[tagStep{s.From.Repo, s.To.Repo, s.To.Tag}] = true
		}
	}
	return all
}

// Referred remembers which referrers were sent to which repositories. The zero value remembers none.
type Referred struct{ sums map[[sha256.Size]byte]bool }

func (s sent) sum() [sha256.Size]byte {
	return sha256.Sum256([]byte(s.to.String() + " " + string(s.digest) + " " + s.tag))
}

// has reports whether a referrer was sent. A nil Referred has none.
func (r *Referred) has(s sent) bool { return r != nil && len(r.sums) > 0 && r.sums[s.sum()] }

// add adds the referrers that were sent.
func (r *Referred) add(all map[sent]*delivery) {
	if r == nil || len(all) == 0 {
		return
	}
	if r.sums == nil {
		r.sums = map[[sha256.Size]byte]bool{}
	}
	for s := range all {
		r.sums[s.sum()] = true
	}
}

// staged is an image that Azure imported under a tag of its own.
type staged struct {
	repo ref.Repo
	tag  string
}

// sent identifies a referrer that goes to a repository, for all images that have it.
type sent struct {
	to     ref.Repo
	digest oci.Digest
	tag    string
}

// delivery is a referrer on its way. Read way and err only after done is closed.
type delivery struct {
	done chan struct{}
	way  oci.Way
	err  error
}
