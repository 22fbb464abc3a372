package prove

import (
	"cmp"
	"context"
	"slices"
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

// heal repairs the names of one repository, and checks them again.
func (v *Prover) heal(ctx context.Context, p *deepCheck, got *Looking) {
	tried := map[oci.Digest]*repaired{}
	var roots []*report.Comparison
	for i, e := range got.Entries {
		if e.Match != report.Incomplete && e.Match != report.Corrupted {
			continue
		}
		if tried[e.Source] == nil {
			tried[e.Source] = &repaired{}
			roots = append(roots, &got.Entries[i])
		}
	}
	if len(roots) == 0 {
		return
	}
	s := v.Begin()
	for _, from := range got.From {
		s.Aim(from, got.To)
	}
	defer s.Release()
	_ = place.Each(ctx, v.Base.InFlight(), roots, func(ctx context.Context, e *report.Comparison) error {
		end, ok := v.Turn(ctx)
		if !ok {
			return nil
		}
		defer end()
		v.repair(ctx, s, p, *e, tried[e.Source])
		return nil
	})
	made := func(ref.Repo) bool { return true }
	if err := s.Commit(ctx, made)[got.To.In("")]; err != nil {
		for _, r := range tried {
			r.err = cmp.Or(r.err, err)
		}
	}
	v.checkAgain(ctx, got, tried)
}

// repaired is what became of the repair of one image.
type repaired struct {
	again bool  // the target refused once more what it refused before
	err   error // why it is not complete
}

// healed reports whether something that was lacking is there now. What the target refuses is not.
func (r *repaired) healed(lacks []report.Lack, refused map[oci.Digest]bool) bool {
	return slices.ContainsFunc(lacks, func(l report.Lack) bool {
		switch l.What {
		case "referrer":
			return !refused[l.Digest]
		case "config", "layer":
			return !r.again // they may be those of what was refused
		}
		return true
	})
}

// repair sends what is missing below one name: first the image, then each referrer with its content. What the
// target refused before may be refused again.
func (v *Prover) repair(ctx context.Context, s *place.Session, p *deepCheck, e report.Comparison, r *repaired) {
	before := v.refused(e.To.Repo)
	var taken []oci.Digest
	r.err = v.sendRoots(ctx, s, p, e, func(m repairRoot, err error) error {
		switch {
		case err == nil:
			taken = append(taken, m.root.Digest)
		case before[m.root.Digest] && referrers.IsRefusal(err):
			r.again = true
			return nil
		}
		return err
	})
	taken = slices.DeleteFunc(taken, func(d oci.Digest) bool { return !before[d] || r.again && d == e.Source })
	if len(taken) > 0 {
		_ = v.Base.Refusals.Note(e.To.Repo, nil, taken) // if this fails, the next run tries again
	}
}

// sendRoots puts the image and its referrers, and calls ended with the result of each.
func (v *Prover) sendRoots(
	ctx context.Context, s *place.Session, p *deepCheck, e report.Comparison, ended func(repairRoot, error) error,
) error {
	from, err := s.Source(ctx, e.From.Repo)
	if err != nil {
		return err
	}
	at, err := s.Target(ctx, e.To.Repo, layout.Write)
	if err != nil {
		return err
	}
	end := transfer.End{Target: s.Shared.Target(at), Back: p.back, Turn: s.Shared.Turn(at)}
	task := transfer.Task{From: from, Documents: s.Documents, Observe: s.Observe, Proof: oci.Sized}
	if v.Depth == report.Rehash {
		task.Proof = oci.Hashed
	}
	if part := partOf(s.Documents, e); part != nil {
		if task.Document, err = part.document(ctx, from); err != nil {
			return fault.On(fault.Source, err)
		}
		task.Sparse = e.Trim.Form == plan.Sparse
	}
	roots := []repairRoot{{root: p.docs[e.Source].desc, puts: transfer.Lacking}}
	p.appendReferrers(e.Source, map[oci.Digest]bool{}, &roots)
	for _, m := range roots {
		end.Tags = m.tags
		task.Root, task.Puts, task.To = m.root, m.puts, []transfer.End{end}
		if err := v.mayTag(ctx, at, e, m); err != nil {
			return err
		}
		out := v.Base.Engine.Copy(ctx, task)[0]
		v.Moved(out.Blobs)
		task.Document, task.Sparse = oci.Document{}, false // the others are referrers
		if err := ended(m, cmp.Or(out.Err, out.Accepted.Failed[strings.Join(m.tags, "")])); err != nil {
			return err
		}
	}
	return nil
}

// mayTag asks the guard whether the digest tag of a referrer may be set.
func (v *Prover) mayTag(ctx context.Context, at place.Repository, e report.Comparison, m repairRoot) error {
	if v.Base.Guard == nil || len(m.tags) == 0 {
		return nil
	}
	s := plan.Step{Action: plan.Copy, From: e.From.Repo.Tagged(m.tags[0]), To: e.To.Repo.Tagged(m.tags[0]),
		MediaType: m.root.MediaType, Size: m.root.Size, Overwrite: plan.Update}
	s.From.Digest = string(m.root.Digest)
	have, err := at.Resolve(ctx, m.tags[0])
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fault.On(fault.Target, err)
	}
	s.Replaces = have.Digest
	return v.Base.Guard(ctx, []plan.Step{s})
}

// repairRoot is one image or referrer to repair.
type repairRoot struct {
	root oci.Descriptor
	puts transfer.Puts
	tags []string // the digest tag that is set, if the target lacks it
}

// appendReferrers appends the referrers below a document to into, the outermost last. A referrer
// that exists but is not listed is put again, because a registry adds a referrer to its list when
// it is put.
func (p *deepCheck) appendReferrers(digest oci.Digest, seen map[oci.Digest]bool, into *[]repairRoot) {
	d := p.docs[digest]
	if d == nil || seen[digest] {
		return
	}
	seen[digest] = true
	for _, r := range d.referrers {
		at := p.docs[r.Digest]
		if at == nil || at.err != nil || at.gone {
			continue
		}
		m := repairRoot{root: at.desc, puts: transfer.Lacking}
		if slices.ContainsFunc(d.astray, func(l report.Lack) bool { return l.Digest == r.Digest }) {
			m.puts = transfer.Every
			if r.Tag != "" {
				m.tags = []string{r.Tag}
			}
		}
		*into = append(*into, m)
	}
	for _, c := range d.documents {
		p.appendReferrers(c.Digest, seen, into)
	}
	for _, c := range d.referrers {
		p.appendReferrers(c.Digest, seen, into)
	}
}

// checkAgain checks what was repaired, in a new session that remembers nothing of the first check.
func (v *Prover) checkAgain(ctx context.Context, got *Looking, tried map[oci.Digest]*repaired) {
	s := v.Begin()
	s.Looks = true
	defer s.Release()
	var again []report.Comparison
	var places []int
	for i, e := range got.Entries {
		if r := tried[e.Source]; r != nil && (e.Match == report.Incomplete || e.Match == report.Corrupted) {
			got.Entries[i].Err = r.err
			e.Match, e.Lacks = report.Same, nil
			again = append(again, e)
			places = append(places, i)
		}
	}
	p, err := v.checkBelow(ctx, s, got.To, again, v.refused(got.To))
	for k, i := range places {
		e := &got.Entries[i]
		if err != nil {
			e.Err = cmp.Or(e.Err, err)
			continue
		}
		p.settle(&again[k])
		if again[k].Match == report.Same {
			again[k].Healed = tried[e.Source].healed(e.Lacks, v.refused(got.To))
		} else {
			again[k].Err = cmp.Or(e.Err, again[k].Err)
		}
		*e = again[k]
	}
}
