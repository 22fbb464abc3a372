package prove

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// checkBelow checks all content below the names that point to the same digest at both sides.
func (v *Prover) checkBelow(
	ctx context.Context, s *place.Session, repo ref.Repo, entries []report.Comparison, lost map[oci.Digest]bool,
) (*deepCheck, error) {
	at, err := s.Target(ctx, repo, layout.Read)
	if err != nil {
		return nil, err
	}
	p := &deepCheck{
		Prover: v,
		at:     at,
		back:   transfer.NewBack(at),
		seek:   referrers.New(s, v.Referrers),
		lost:   lost,
		docs:   map[oci.Digest]*checkedDocument{},
		blobs:  map[oci.Digest]*checkedBlob{},
	}
	var level []*checkedDocument
	for _, e := range entries {
		if e.Match != report.Same || HasOwn(e) {
			continue
		}
		from, err := s.Source(ctx, e.From.Repo)
		if err != nil {
			return nil, err
		}
		if level = p.add(level, "manifest", from, oci.Descriptor{Digest: e.Source}); p.docs[e.Source].what == "manifest" {
			p.docs[e.Source].part = partOf(s.Documents, e)
		}
	}
	for range referrers.MaxNesting {
		if len(level) == 0 {
			break
		}
		if err := place.Each(ctx, place.Lookups, level, p.checkDocument); err != nil {
			return nil, err
		}
		level = p.below(level)
	}
	for _, d := range level {
		name := repo.At(string(d.desc.Digest)).String()
		d.err = &fault.Fault{Kind: fault.TooLarge, Op: "verify", Name: name, Err: errTooDeep}
	}
	p.looked.Documents, p.looked.Blobs = len(p.docs), len(p.blobs)
	return p, p.checkBlobs(ctx)
}

var errTooDeep = fmt.Errorf("indexes or referrers are nested more than %d levels deep", referrers.MaxNesting)

// add adds a document to a level, unless the document is already known.
func (p *deepCheck) add(
	level []*checkedDocument, what string, from place.Repository, d oci.Descriptor,
) []*checkedDocument {
	if p.docs[d.Digest] != nil {
		return level
	}
	doc := &checkedDocument{what: what, desc: d, from: from}
	p.docs[d.Digest] = doc
	return append(level, doc)
}

// below collects the references of a level: its blobs, and the documents of the next level.
func (p *deepCheck) below(level []*checkedDocument) []*checkedDocument {
	var next []*checkedDocument
	for _, d := range level {
		for _, b := range d.blobs {
			if p.blobs[b.Digest] == nil {
				p.blobs[b.Digest] = &checkedBlob{desc: b}
			}
		}
		for _, c := range d.documents {
			next = p.add(next, "child", d.from, c)
		}
		for _, c := range d.referrers {
			next = p.add(next, "referrer", d.from, c.Descriptor())
		}
	}
	return next
}

// checkDocument reads one document at the target. If the target lacks it, checkDocument reads it at
// the source, to learn what is below it. The returned error only says that ctx ended.
func (p *deepCheck) checkDocument(ctx context.Context, d *checkedDocument) error {
	doc, err := p.at.Document(ctx, string(d.desc.Digest))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Corrupt):
		why := "missing"
		if fault.Is(err, fault.Corrupt) {
			why = "corrupt"
		}
		doc, err = d.atSource(ctx)
		if fault.Is(err, fault.NotFound) && d.what != "manifest" {
			d.gone = true
			if d.what == "referrer" {
				p.seek.Gone(d.from, plan.Referrer{Digest: d.desc.Digest})
			} else {
				p.Note("missing at the target, and at the source too: %s", p.at.Repo().At(string(d.desc.Digest)))
			}
			return nil
		}
		if err != nil {
			d.err = fault.On(fault.Source, err)
			return context.Cause(ctx)
		}
		d.lacks = append(d.lacks, report.Lack{What: d.what, Digest: doc.Digest, Size: doc.Size, Why: why})
	case err != nil:
		d.err = fault.On(fault.Target, err)
		return nil
	}
	if d.desc.Size > 0 && d.desc.Size != doc.Size {
		d.lacks = append(d.lacks, report.Lack{What: d.what, Digest: doc.Digest, Size: d.desc.Size, Why: "corrupt"})
	}
	if d.part != nil && d.part.trim.Form == plan.Sparse {
		if doc, err = d.atSource(ctx); err != nil {
			d.err = fault.On(fault.Source, err)
			return context.Cause(ctx)
		}
	}
	if _, d.err = oci.Weigh(doc.Digest, doc.Size, doc.Documents); d.err != nil {
		return nil
	}
	d.desc, d.documents, d.blobs = doc.Descriptor, doc.Documents, p.blobsOf(doc)
	if doc.Config != nil {
		d.config = doc.Config.Digest
	}
	d.err = p.referrers(ctx, d)
	return context.Cause(ctx)
}

// blobsOf returns the blobs that the target should have of doc. Foreign layers are among them if they are copied, too.
func (p *deepCheck) blobsOf(doc oci.Document) []oci.Descriptor {
	if p.Base.Foreign != nil {
		return slices.Concat(doc.Blobs, doc.Foreign)
	}
	if n := len(doc.Foreign); n > 0 {
		p.Note("foreign layers of %s are not looked at, because their publisher serves them: %d; "+
			"use --include-foreign to look for them", p.at.Repo().At(string(doc.Digest)), n)
	}
	return doc.Blobs
}

// atSource reads a document at the source, or makes it from what the source has.
func (d *checkedDocument) atSource(ctx context.Context) (oci.Document, error) {
	if d.part != nil {
		return d.part.document(ctx, d.from)
	}
	return d.from.Document(ctx, string(d.desc.Digest))
}

// referrers asks the source what refers to d and, if there is anything, looks for it at the target too.
func (p *deepCheck) referrers(ctx context.Context, d *checkedDocument) error {
	all, err := p.seek.Direct(ctx, d.from, d.desc)
	if err != nil {
		return fault.On(fault.Source, err)
	}
	want, err := p.wanted(ctx, d.from, all, map[oci.Digest]bool{})
	if err != nil || len(want) == 0 {
		return fault.On(fault.Source, err)
	}
	standing, err := p.seek.Listed(ctx, d.from, p.at, d.desc, want)
	if err != nil {
		return err
	}
	for i, r := range want {
		is := standing[i]
		if is.Keeps == plan.KeepsOther && p.Referrers.Mode != plan.ReferrersRequire {
			p.Note("%s", KeepsOwn(p.at.Repo().Tagged(r.Tag), is.Has, r.Digest))
			continue
		}
		if is.Keeps == plan.KeepsAll {
			continue // what the target has is not that document
		}
		d.referrers = append(d.referrers, r)
		why := "unlisted"
		if r.Tag != "" {
			why = "untagged"
		}
		if !is.There {
			d.astray = append(d.astray, report.Lack{What: "referrer", Digest: r.Digest, Size: r.Size, Why: why})
		}
	}
	return nil
}

// wanted returns those of all that the target should have. What it refused is noted, and so is what refers to
// that.
func (p *deepCheck) wanted(
	ctx context.Context, from place.Repository, all []plan.Referrer, seen map[oci.Digest]bool,
) (want []plan.Referrer, err error) {
	for _, r := range all {
		if !p.refused(r) {
			want = append(want, r)
			continue
		}
		if seen[r.Digest] {
			continue
		}
		seen[r.Digest] = true
		more, err := p.seek.Direct(ctx, from, r.Descriptor())
		if err != nil {
			return nil, err
		}
		if more, err = p.wanted(ctx, from, more, seen); err != nil {
			return nil, err
		}
		want = append(want, more...)
	}
	return want, nil
}

// refused reports whether the target refused r, and notes it.
func (p *deepCheck) refused(r plan.Referrer) bool {
	name := report.LostOf(r, p.at.Repo()).Name()
	switch {
	case p.lost[r.Digest] && p.Heal:
		p.Note("not at the target, which refuses it: %s", name)
	case p.lost[r.Digest]:
		p.Note("not at the target, which refused it when it was copied: %s (to try again, use --heal)", name)
	case r.Tag != "" && !p.at.Repo().HasTags() && p.Referrers.Mode != plan.ReferrersRequire:
		p.Note("not at the target, which holds no digest tags: %s", name)
	default:
		return false
	}
	return true
}

// refused returns the referrers that a target refused in an earlier run. If all are required, it may refuse none.
func (v *Prover) refused(repo ref.Repo) map[oci.Digest]bool {
	if v.Referrers.Mode == plan.ReferrersRequire {
		return nil
	}
	return v.Base.Refusals.Of(repo)
}

// checkBlobs asks the target for each blob once, and reads the blob if Depth is Rehash and it is in
// the sample.
func (p *deepCheck) checkBlobs(ctx context.Context) error {
	var all []*checkedBlob
	for _, b := range p.blobs {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *checkedBlob) int { return cmp.Compare(a.desc.Digest, b.desc.Digest) })
	return place.Each(ctx, place.Lookups, all, func(ctx context.Context, b *checkedBlob) error {
		lack, err := p.at.Prove(ctx, []oci.Descriptor{b.desc})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			b.err = fault.On(fault.Target, err)
		case len(lack) > 0:
			b.why = "missing"
		case p.Depth == report.Rehash && sampled(b.desc.Digest, p.Sample):
			p.rehash(ctx, b)
		}
		return context.Cause(ctx)
	})
}

func (p *deepCheck) rehash(ctx context.Context, b *checkedBlob) {
	err := p.Base.Engine.Check(ctx, p.back, b.desc)
	switch {
	case fault.Is(err, fault.NotFound):
		b.why = "missing"
	case fault.Is(err, fault.Corrupt):
		b.why = "corrupt"
	case err != nil:
		b.err = fault.On(fault.Target, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked.Read++
	p.looked.Bytes += b.desc.Size
}

// sampled reports whether a blob is in a sample of of100 percent. The choice depends on the digest
// alone, so each run samples the same blobs.
func sampled(d oci.Digest, of100 int) bool {
	if of100 == 0 {
		return true
	}
	_, hex, _ := strings.Cut(string(d), ":")
	n, err := strconv.ParseUint(hex[:min(8, len(hex))], 16, 32)
	return err != nil || int(n%100) < of100
}

// settle writes what was found below a name into its entry.
func (p *deepCheck) settle(e *report.Comparison) {
	if e.Match != report.Same || HasOwn(*e) {
		return
	}
	seen := map[oci.Digest]bool{}
	p.gather(e, e.Source, seen)
	switch {
	case e.Err != nil:
		e.Match = report.Unproven
	case slices.ContainsFunc(e.Lacks, func(l report.Lack) bool { return l.Why == "corrupt" }):
		e.Match = report.Corrupted
	case len(e.Lacks) > 0:
		e.Match = report.Incomplete
	}
}

func (p *deepCheck) gather(e *report.Comparison, digest oci.Digest, seen map[oci.Digest]bool) {
	d := p.docs[digest]
	if d == nil || seen[digest] {
		return
	}
	seen[digest] = true
	e.Lacks = append(e.Lacks, d.lacks...)
	for _, l := range d.astray {
		// What is not there cannot be listed either, and is missing once.
		if of := p.docs[l.Digest]; of == nil || !of.gone && len(of.lacks) == 0 {
			e.Lacks = append(e.Lacks, l)
		}
	}
	e.Err = cmp.Or(e.Err, d.err)
	for _, b := range d.blobs {
		got := p.blobs[b.Digest]
		if got == nil || seen[b.Digest] {
			continue
		}
		seen[b.Digest] = true
		e.Err = cmp.Or(e.Err, got.err)
		if got.why != "" {
			what := "layer"
			if b.Digest == d.config {
				what = "config"
			}
			e.Lacks = append(e.Lacks, report.Lack{What: what, Digest: b.Digest, Size: b.Size, Why: got.why})
		}
	}
	for _, c := range d.documents {
		p.gather(e, c.Digest, seen)
	}
	for _, c := range d.referrers {
		p.gather(e, c.Digest, seen)
	}
}
