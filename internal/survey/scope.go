package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// MaxLookups limits how many names all surveys of one transfer look up at once, at each side.
const MaxLookups = 64

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

// Elsewhere returns what steps that are not in a draft set a name of the target to. nil means that there are none.
type Elsewhere func(ref.Name) (d oci.Digest, set bool)

// Draft is a plan while it is made, with the session in which it is made.
type Draft struct {
	plan.Plan
	session *place.Session

	skipBroken bool
	stray      map[ref.Name]bool // sources of which only a host in between says that they do not exist

	elsewhere Elsewhere
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

// Gone returns the error for a tag that is listed, but whose manifest does not exist.
func Gone(n ref.Name, words name.Words) error {
	return &fault.Fault{
		Kind: fault.NotFound, Side: fault.Source, Op: "resolve", Name: n.String(),
		Hint: "push the tag again or remove it at the source, or leave such tags out with " + words.SkipBroken(),
		Err:  errors.New("the registry lists this tag, but does not have its manifest"),
	}
}

// goneNote returns the note for a tag that SkipBroken leaves out.
func goneNote(n ref.Name) string {
	return fmt.Sprintf("left out, because the registry lists this tag, but does not have its manifest: %s", n)
}
