package survey

import (
	"context"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
)

const (
	// wholeEvery is how long an incremental listing is enough. After that the repository is listed
	// as a whole again.
	wholeEvery = 7 * 24 * time.Hour

	// overlap is how far a listing reaches back before the time that is already known. If two tags
	// are set at the same moment, the later one may get the earlier time stamp.
	overlap = 5 * time.Minute
)

// incremental lists only what changed in the source since a transfer copied all of it to the
// target. ok is false if everything has to be listed.
func (k *Landing) incremental(ctx context.Context) (sources []listing, target listing, ok bool, err error) {
	l := k.Of
	if !k.Incremental || len(l.From) != 1 || !k.Base.Elsewhere(l.From[0]) || place.Absent(l.To) {
		return nil, listing{}, false, nil
	}
	from := l.From[0]
	known := k.Base.Marks.Of(from, l.To)
	if known.Through.IsZero() || time.Since(known.Full) > wholeEvery {
		return nil, listing{}, false, nil
	}
	tags, sorted, err := k.Into.Session.Once(fault.Source, from, remote.Pull).ListNewest(ctx, known.Through.Add(-overlap))
	if err != nil || !sorted {
		return nil, listing{}, false, fault.On(fault.Source, err)
	}
	one := listing{tags: tags, part: true}
	if one.at, err = k.Into.Session.Source(ctx, from); err != nil {
		return nil, listing{}, false, err
	}
	target.part = true
	if target.at, err = k.Into.Session.Target(ctx, l.To, layout.Read); err != nil {
		return nil, listing{}, false, err
	}
	k.setMark(tags, known.Through, known.Full, 0)
	return []listing{one}, target, true, nil
}

// setMark records up to which time the source is copied once this landing is applied: up to its
// newest tag, minus last. If a tag has no time, setMark records nothing.
func (k *Landing) setMark(tags []oci.Listed, through, full time.Time, last time.Duration) {
	if !k.Incremental || len(k.Of.From) != 1 {
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
		k.Into.Mark = &Mark{k.Of.From[0], k.Of.To, ledger.Mark{Through: through.Add(-last), Full: full}}
	}
}
