package dray

import (
	"cmp"
	"context"
	"crypto/rand"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// BatchRequest asks to copy a list of images. The entries are independent of each other.
type BatchRequest struct {
	Entries []BatchEntry
	List    string // the name of the list that has the entries, for errors; "" means none

	// Target is the registry of targets that do not name one, as in [ImportRequest].
	Target string

	Overwrite plan.Overwrite // for entries that do not set it; "" means plan.Refuse
	Backup    plan.Backup    // how to keep a tag that is overwritten; not with plan.Refuse
	Hold      plan.Hold      // "" means plan.Each
	Proof     Proof          // how to make sure that a target has a blob, as in Prepared

	// SkipBroken leaves out tags whose repository lists them and whose manifest does not exist; a note
	// names them. Otherwise such a tag is a failed step, as is a tag that is not listed.
	SkipBroken bool

	// Referrers chooses which signatures and other referrers travel with an image. The zero value means
	// all of them, with each image that moves.
	Referrers plan.Referrers

	// Platforms chooses which platforms of an image are copied. The zero value means all of them.
	Platforms plan.Platforms

	// Gate decides which images may move, after Config.Gate; nil admits all.
	Gate gate.Gate

	SourceLogin *credential.Login // nil means Config.Logins
	TargetLogin *credential.Login // nil means Config.Logins

	// Of identifies the batch that Entries are a part of, see [BatchPart]. "" means that they are all of it.
	Of string
}

// BatchPart is a part of a batch. It has a JSON form.
type BatchPart struct {
	// Of identifies the batch, for BatchRequest.Of. Parts that one Dray carries out share what they learn about the
	// targets, so that a blob is sent once and then mounted.
	Of      string `json:"of"`
	Entries []int  `json:"entries"` // indexes of BatchRequest.Entries
}

// PlanBatch plans every entry of req. An entry whose name cannot be parsed, or whose image cannot be
// found, becomes a step with the action [plan.Broken]; the other entries are not affected.
//
// The error is [fault.Invalid] if two entries copy different content to one name.
func (d *Dray) PlanBatch(ctx context.Context, req BatchRequest, obs event.Observer) (*Prepared, error) {
	draft := func(s *place.Session, names *name.Reader) (*survey.Draft, error) {
		return d.draftBatch(ctx, s, names, req, plan.Refuse)
	}
	o := opening{source: req.SourceLogin, target: req.TargetLogin, gate: req.Gate, of: req.Of}
	p, err := d.plan(ctx, o, obs, draft)
	if p != nil {
		p.Proof = req.Proof
	}
	return p, err
}

// SplitBatch divides a batch into parts that several processes can carry out at the same time, in any order. For each
// part, plan and apply a request with its entries alone and its Of, and put the reports together with [Report.Add]. The
// entries of one source repository are in one part, so that each source is read by one part. There are at most 1000
// parts. SplitBatch makes no requests.
//
// A batch with plan.All, with an end on disk, or with two different sources for one target cannot be divided. It is a
// single part. Tags such as "latest" are set after the others of their part.
func (d *Dray) SplitBatch(req BatchRequest) []BatchPart {
	all := [][]int{place.IndexesOf(req.Entries)}
	if req.Hold != plan.All {
		all = survey.List{Name: req.List, Entries: req.Entries, Target: req.Target}.Divide(d.names)
	}
	id := rand.Text()
	var parts []BatchPart
	for _, entries := range all {
		parts = append(parts, BatchPart{id, entries})
	}
	return parts
}

// draftBatch plans the entries of req. overwrite is for a request that does not set it.
func (d *Dray) draftBatch(
	ctx context.Context, s *place.Session, names *name.Reader, req BatchRequest, overwrite plan.Overwrite,
) (*survey.Draft, error) {
	return survey.Batch(ctx, s, names, survey.List{Name: req.List, Entries: req.Entries, Target: req.Target}, survey.Rules{
		Verb:       "batch",
		Overwrite:  cmp.Or(req.Overwrite, overwrite),
		Hold:       req.Hold,
		Backup:     req.Backup,
		Referrers:  req.Referrers.Or(d.referrers),
		Platforms:  req.Platforms.Or(d.platforms),
		SkipBroken: req.SkipBroken,
	})
}

// EntryNames returns the names that PlanBatch reads from e: the source, and the targets, which are the
// To of the plan's steps. target is the Target of the request. It makes no requests. obs gets the notes about
// names; nil makes none. The error is [fault.Invalid].
func (d *Dray) EntryNames(
	e BatchEntry, target string, obs event.Observer,
) (source ref.Name, targets []ref.Name, err error) {
	n, err := d.names.Noting(obs).Entry(e, target)
	return n.Source, n.Targets, err
}
