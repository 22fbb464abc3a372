package migrate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/prove"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// rememberVerified stores what a verification proved, so that later runs know it.
func (v *verifying) rememberVerified(got compared) {
	if v.of.Depth == report.Digests {
		return
	}
	known, sparse := v.Base.Proofs.Of(got.To), v.Base.Sparse.Of(got.To)
	var proven, broken, whole []oci.Digest
	for _, e := range got.Entries {
		if e.Match == report.Same && !e.Trim.Partial() && sparse[e.Source] {
			whole = append(whole, e.Source)
		}
		switch {
		case e.Trim.Form == plan.Sparse: // the digest is that of the whole index
		case prove.HasOwn(e):
		case e.Match == report.Same && !known[e.Source]:
			proven = append(proven, e.Source)
		case e.Match == report.Incomplete, e.Match == report.Corrupted:
			broken = append(broken, e.Source)
		}
	}
	_ = v.Base.Proofs.Note(got.To, proven, broken)
	_ = v.Base.Sparse.Note(got.To, nil, whole)
}

// VerifyRequest holds the settings of a verification. They are documented at the public
// VerifyRequest.
type VerifyRequest struct {
	Of     Request
	Depth  report.Depth
	Sample int
	Heal   bool
	By     string
	Tool   string
	When   time.Time
}

// Verify compares targets with their sources and calls visit with each name.
func Verify(
	ctx context.Context, b *place.Base, names *name.Reader, req VerifyRequest, obs event.Observer,
	visit func(report.Comparison) error,
) (report.Receipt, error) {
	v, err := newVerifying(b, names, req, obs)
	if err != nil {
		return report.Receipt{}, err
	}
	landings, err := v.begun(ctx)
	if err != nil {
		return v.end(err)
	}
	err = crew.InOrder(ctx, v.parallel(), landings, v.compare, func(ctx context.Context, got compared) error {
		if ctx.Err() != nil {
			return canceled(ctx, "verify")
		}
		return v.take(ctx, got, visit)
	})
	if err == nil && !v.divided {
		v.idleTags()
		err = v.checkMatches()
	}
	if ctx.Err() != nil {
		err = canceled(ctx, "verify")
	}
	if err == nil {
		v.complete = true
		v.receipt.InUse = v.running.end()
	}
	return v.end(err)
}

// begun finds what is to be compared with what. A part has its landings.
func (v *verifying) begun(ctx context.Context) ([]plan.Landing, error) {
	if v.part != nil {
		v.trackOwn(v.part)
		return v.part, v.ofPart()
	}
	landings, err := v.pairs(ctx)
	return landings, cmp.Or(err, v.trackInUse())
}

// end completes the receipt. If err is nil, the error of the first name that could not be compared is returned.
func (v *verifying) end(err error) (report.Receipt, error) {
	if v.receipt.Names == 0 && err == nil && v.first == nil && !v.divided {
		v.report.Notef("there is nothing to compare")
	}
	v.report.Sum.Err = v.first
	sum, _ := v.endPlan(err)
	v.receipt.Traffic, v.receipt.Pulls, v.receipt.Notes = sum.Traffic, sum.Pulls, sum.Notes
	v.receipt.Empty, v.receipt.Skipped = sum.Empty, sum.Skipped
	v.receipt.Took, v.receipt.Pending = sum.Took, sum.Pending
	if !v.divided {
		v.receipt.Digest = digestOf(v.digests)
	}
	return v.receipt, cmp.Or(err, v.first)
}

// digestOf returns the digest of a receipt from those of its repositories.
func digestOf(repos map[string]oci.Digest) oci.Digest {
	all := sha256.New()
	for _, repo := range slices.Sorted(maps.Keys(repos)) {
		fmt.Fprintf(all, "%s %s\n", repo, repos[repo])
	}
	return oci.Digest(fmt.Sprintf("sha256:%x", all.Sum(nil)))
}

// verifying is the state of one verification.
type verifying struct {
	*transferring
	of      VerifyRequest
	image   *pair // set if a single image is compared
	receipt report.Receipt
	first   error
}

// pair is one image and the name that it should have at the target.
type pair struct{ from, to ref.Name }

func newVerifying(b *place.Base, names *name.Reader, req VerifyRequest, obs event.Observer) (*verifying, error) {
	req.Depth = cmp.Or(req.Depth, report.Digests)
	switch {
	case !slices.Contains([]report.Depth{report.Digests, report.Deep, report.Rehash}, req.Depth):
		return nil, fault.Misuse("verify", string(req.Depth), "the depth is not one of digests, deep, rehash", "")
	case req.Sample < 0 || req.Sample > 100 || req.Sample > 0 && req.Depth != report.Rehash:
		return nil, fault.Misuse("verify", strconv.Itoa(req.Sample),
			"a sample is a percentage of blobs from 1 to 100, and requires the depth rehash", "")
	case req.Heal && req.Depth == report.Digests:
		return nil, fault.Misuse("verify", "", "digests alone do not tell what must be repaired", "use "+b.Words.Deep())
	}
	of := req.Of
	of.Overwrite = plan.Update
	of.Incremental = false // a verification looks at all tags
	of.Delay = 0
	if err := of.Platforms.Check(); err != nil {
		return nil, err
	}
	v := &verifying{transferring: newTransferring(b, names, of, obs), of: req}
	v.digests = map[string]oci.Digest{}
	v.Trimmer = trim.Proving(of.Platforms)
	v.receipt = report.Receipt{
		Format:  1,
		Tool:    req.Tool,
		By:      req.By,
		When:    req.When.UTC(),
		Sources: of.Sources,
		Target:  of.Target,
		Depth:   req.Depth,
		Sample:  req.Sample,
		Matches: map[report.Match]int{},
		Traffic: map[string]report.Traffic{},
	}
	if !of.Platforms.All() {
		v.receipt.Platforms = oci.PlatformsString(oci.NormalPlatforms(of.Platforms.Only))
	}
	return v, nil
}

// parallel returns how many repositories are compared in parallel. At the other depths each
// comparison holds in memory what it saw.
func (v *verifying) parallel() int {
	if v.of.Depth == report.Digests {
		return v.Base.Files.AtOnce(maxPlanning)
	}
	return v.images.Count()
}

// pairs finds what is to be compared with what.
func (v *verifying) pairs(ctx context.Context) ([]plan.Landing, error) {
	if len(v.req.Sources) != 1 || !v.isName(v.req.Sources[0]) && !v.isName(v.req.Target) {
		return v.landings(ctx)
	}
	from, err := v.names.Parse(v.req.Sources[0], fault.Source)
	if err != nil {
		return nil, err
	}
	to, err := v.names.Parse(v.req.Target, fault.Target)
	if err != nil {
		return nil, err
	}
	if err := v.req.Map.Check(); err != nil {
		return nil, err
	}
	to = name.Within(from, to)
	only := from.IsLayout() && (to.Tag != "" || to.Digest != "" || to.Host == ref.Directory) // the only image of from
	if bare := from.Tag == "" && from.Digest == "" && !only; bare && (to.Tag != "" || to.Digest != "") {
		return nil, fault.Misuse("verify", to.String(), "the source names a repository, but the target names one image",
			"name a tag at both sides")
	} else if !bare {
		if to.Tag == "" && to.Digest == "" && to.Host != ref.Directory {
			to.Tag, to.Digest = from.Tag, from.Digest
		}
		v.image = &pair{from, to}
	}
	v.Rank = func(ref.Repo) int { return 0 }
	return []plan.Landing{{To: to.Repo, From: []ref.Repo{from.Repo}}}, nil
}

// isName reports whether s names a single image or a layout, which is not valid as an end of a
// transfer.
func (v *verifying) isName(s string) bool {
	if name.IsLayouts(s) {
		return false
	}
	if _, _, whole, err := v.names.Registry(s); err != nil || whole {
		return false
	}
	n, err := v.names.Noting(nil).Parse(s, "") // pairs parses s again, with its side and its notes
	return err == nil && (n.IsLayout() || n.Tag != "" || n.Digest != "")
}

// compared holds the result of one target repository, or of the first range of its names.
type compared struct {
	prove.Looking
	look   *landing.Landing
	broken error // why it cannot be compared
	ranges int
}

// compare compares one target repository with its sources. If it has many names and digests alone count, it compares
// the first range of them: take compares the others.
func (v *verifying) compare(ctx context.Context, l plan.Landing) compared {
	s := v.begin()
	s.Looks = true
	defer s.Release()
	p := landing.Surveyed{Repository: plan.Repository{To: l.To, From: l.From}, Session: s}
	got := compared{Looking: prove.Looking{To: l.To, From: l.From}, look: landing.NewLanding(v.Scope, l, &p), ranges: 1}
	if v.image == nil {
		if got.broken = got.look.Survey(ctx); got.broken == nil {
			got.ranges = got.look.Count(listing.ByName)
		}
	}
	if v.of.Depth == report.Digests {
		got.Entries = v.entries(ctx, got, 0)
		return got
	}
	for n := range got.ranges {
		got.Entries = append(got.Entries, v.entries(ctx, got, n)...)
	}
	got.ranges = 1
	prover := v.prover(v.of.Depth, v.of.Sample)
	prover.Heal = v.of.Heal
	prover.Into(ctx, s, &got.Looking)
	return got
}

// entries compares one range of the names of a repository.
func (v *verifying) entries(ctx context.Context, got compared, n int) []report.Comparison {
	steps, err := []plan.Step(nil), got.broken
	if err == nil {
		steps, err = v.steps(ctx, got.look, n)
	}
	if err != nil {
		step := brokenStep(got.look, err)
		if v.image != nil {
			step.From, step.To = v.image.from, v.image.to
		}
		steps = []plan.Step{step}
	}
	some := prove.Looking{To: got.To, From: got.From}
	for _, step := range steps {
		some.Entries = append(some.Entries, prove.EntryOf(step))
	}
	if v.of.Depth == report.Digests {
		v.seeSparse(ctx, got.look.Into.Session, &some)
	}
	return some.Entries
}

// seeSparse looks below the indexes that an earlier run sent sparse, of which digests alone do not tell what the target
// lacks.
func (v *verifying) seeSparse(ctx context.Context, s *place.Session, got *prove.Looking) {
	sparse := v.Base.Sparse.Of(got.To)
	for i := range got.Entries {
		e := &got.Entries[i]
		if e.Match != report.Same || e.Trim.Partial() || !sparse[e.Source] {
			continue
		}
		lacks, err := trim.Lacking(ctx, s, got.To, e.Source, e.Trim)
		if err != nil {
			e.Match, e.Err = report.Unproven, err
		}
		for _, l := range lacks {
			e.Match = report.Incomplete
			e.Lacks = append(e.Lacks, report.Lack{What: "child", Digest: l.Digest, Size: l.Size, Why: "missing"})
		}
	}
}

// steps makes one range of the steps of a landing, or surveys the single image.
func (v *verifying) steps(ctx context.Context, k *landing.Landing, n int) ([]plan.Step, error) {
	if v.image == nil {
		steps, err := k.Steps(ctx, listing.ByName, n)
		if err == nil {
			err = referrers.KeepOwn(ctx, k.Into.Session, steps, plan.Update)
		}
		return v.accept(k.Into, steps), err
	}
	from, to := v.image.from, v.image.to
	src, err := survey.Source(ctx, k.Into.Session, from)
	if err != nil {
		return nil, err
	}
	dst := plan.Inventory{}
	at, err := k.Into.Session.Target(ctx, to.Repo, layout.Read)
	if err != nil {
		return nil, err
	}
	have, err := at.Resolve(ctx, survey.Reference(to))
	switch {
	case err == nil:
		dst[to] = have
	case !fault.Is(err, fault.NotFound):
		return nil, fault.On(fault.Target, err)
	}
	of := func(ref.Name) []ref.Name { return []ref.Name{to} }
	a, err := v.Trimmer.Images(ctx, k.Into.Session, src, dst, of)
	if err = cmp.Or(err, a.Lost[from]); err != nil {
		return nil, err
	}
	k.Into.Notes = append(k.Into.Notes, a.Notes...)
	return plan.Make(ctx, src, dst, plan.Rules{Overwrite: plan.Update, Trims: a.Trims, Targets: of})
}

// accept notes the digest tags that the target keeps with other content. If what refers to images is required, they
// differ.
func (v *verifying) accept(into *landing.Surveyed, steps []plan.Step) []plan.Step {
	for i, s := range steps {
		switch {
		case s.Keeps != plan.KeepsOther:
		case v.req.Referrers.Mode == plan.ReferrersRequire:
			steps[i].Action, steps[i].Keeps = plan.Replace, ""
		default:
			into.Notes = append(into.Notes, prove.KeepsOwn(s.To, s.Replaces, s.Digest()))
		}
	}
	return steps
}

// take adds the result of one repository to the receipt and reports it.
func (v *verifying) take(ctx context.Context, got compared, visit func(report.Comparison) error) error {
	v.running.addSurveyed(got.From, nil)
	v.rememberVerified(got)
	into, lines := got.look.Into, sha256.New()
	v.explain(into.Explains...)
	v.report.LeftOut(into.Empty, into.Skipped)
	v.receipt.Repositories++
	v.receipt.Extra += got.look.Extra
	v.receipt.Looked.Add(got.Looked)
	for n := range got.ranges {
		if n > 0 {
			got.Entries = v.entries(ctx, got, n)
		}
		if ctx.Err() != nil {
			return canceled(ctx, "verify")
		}
		for _, note := range into.Notes {
			v.report.Notef("%s", note)
		}
		into.Notes = nil
		for _, e := range got.Entries {
			v.count(e)
			fmt.Fprintf(lines, "%s %s %s\n", e.To, e.Source, e.Match)
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	v.digests[got.To.String()] = oci.Digest(fmt.Sprintf("sha256:%x", lines.Sum(nil)))
	return nil
}

// count adds a name to the receipt.
func (v *verifying) count(e report.Comparison) {
	r := &v.receipt
	r.Names++
	r.Matches[e.Match]++
	if e.Healed {
		r.Healed++
	}
	if e.Match != report.Unproven {
		v.running.addCopied(ref.Name{Repo: e.From.Repo, Tag: e.From.Tag, Digest: string(e.Source)})
	}
	if e.Match == report.Unproven && v.first == nil {
		v.first = e.Err
	}
	if e.Match != report.Same && len(r.Troubles) < report.MaxTroubles {
		r.Troubles = append(r.Troubles, e)
	}
}
