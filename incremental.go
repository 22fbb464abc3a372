package dray

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

const (
	// wholeEvery is how long lists of what changed are enough: then a repository is listed whole again.
	wholeEvery = 7 * 24 * time.Hour

	// overlap is how much of what is known is listed again: of two tags that are set at once
	// the later may be stamped first.
	overlap = 5 * time.Minute
)

var errNotIncremental = errors.New("incremental, and more than what changed has to be looked at")

// checkIncremental refuses what tags that are known would have to be looked at for.
func (r *transferring) checkIncremental() error {
	q, sel := r.req, r.req.Selection
	if !q.Incremental {
		return nil
	}
	tags := len(sel.IncludeTags)+len(sel.ExcludeTags) > 0 || sel.Versions != (plan.Versions{}) || !sel.Since.IsZero() || sel.Latest > 0 || sel.MinTags > 0
	if tags || sel.Untagged || len(q.InUse.Images) > 0 || len(q.Map.Pairs)+len(q.Map.Rename) > 0 || len(q.Also) > 0 || q.CopyLocks || q.Heal ||
		q.Explain != nil || q.Overwrite == plan.Always || (q.Proof != "" && q.Proof != oci.Claimed) {
		return &fault.Fault{Kind: fault.Invalid, Op: "transfer", Name: q.Target, Err: errNotIncremental,
			Hint: "it goes with one target, rules about repositories and mappings of them, and no others"}
	}
	return nil
}

// mark is how far a landing will have been brought when all of its steps are done.
type mark struct {
	from, to ref.Repo
	now      ledger.Mark
}

// incremental lists what changed in the source since all of it was at the target. ok is
// false where everything has to be looked at.
func (k *looking) incremental(ctx context.Context) (sources []listing, target listing, ok bool, err error) {
	l := k.landing
	if !k.Incremental || len(l.From) != 1 || !k.base.elsewhere(l.From[0]) || absent(l.To) {
		return nil, listing{}, false, nil
	}
	from := l.From[0]
	known := k.base.marks.Of(from, l.To)
	if known.Through.IsZero() || time.Since(known.Full) > wholeEvery {
		return nil, listing{}, false, nil
	}
	tags, sorted, err := k.plan.session.registry(fault.Source, from, remote.Pull).ListNewest(ctx, known.Through.Add(-overlap))
	if err != nil || !sorted {
		return nil, listing{}, false, fault.On(fault.Source, err)
	}
	one := listing{tags: tags}
	if one.at, err = k.plan.session.source(from); err != nil {
		return nil, listing{}, false, err
	}
	target.part = true
	if target.at, err = k.plan.session.target(l.To, layout.Read); err != nil {
		return nil, listing{}, false, err
	}
	k.marking(tags, known.Through, known.Full, 0)
	return []listing{one}, target, true, nil
}

// marking says how far the source will have been brought: to its newest tag, but for those
// of the last while. A tag without a time leaves that open.
func (k *looking) marking(tags []oci.Listed, through, full time.Time, last time.Duration) {
	if !k.Incremental || len(k.landing.From) != 1 {
		return
	}
	for _, t := range tags {
		if t.Updated.IsZero() {
			return
		}
		if t.Updated.After(through) {
			through = t.Updated
		}
	}
	if !through.IsZero() {
		k.plan.mark = &mark{k.landing.From[0], k.landing.To, ledger.Mark{Through: through.Add(-last), Full: full}}
	}
}

// marked remembers how far a source was brought, if all of it was.
func (r *transferring) marked(m *mark, steps []StepReport) {
	if m == nil {
		return
	}
	for _, s := range steps {
		if s.State != Done && s.State != Unchanged {
			return
		}
	}
	_ = r.base.marks.Note(m.from, m.to, m.now) // what is not remembered is listed again
}
