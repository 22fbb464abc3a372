package landing

import (
	"context"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey/listing"
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
func (k *Landing) incremental(ctx context.Context) (sources []listed, target listed, ok bool, err error) {
	l := k.Of
	if !k.Incremental || len(l.From) != 1 || !k.Base.Elsewhere(l.From[0]) || place.Absent(l.To) {
		return nil, listed{}, false, nil
	}
	from := l.From[0]
	known := k.Base.Marks.Of(from, l.To)
	if known.Through.IsZero() || time.Since(known.Full) > wholeEvery {
		return nil, listed{}, false, nil
	}
	tags, sorted, err := k.Into.Session.Once(fault.Source, from, remote.Pull).ListNewest(ctx, known.Through.Add(-overlap))
	if err != nil || !sorted {
		return nil, listed{}, false, fault.On(fault.Source, err)
	}
	one := listed{tags: listing.New(listing.WithTimes), part: true}
	for _, t := range tags {
		one.tags.Add(t)
	}
	one.tags.Sort()
	if one.at, err = k.Into.Session.Source(ctx, from); err != nil {
		return nil, listed{}, false, err
	}
	target.part = true
	if target.at, err = k.Into.Session.Target(ctx, l.To, layout.Read); err != nil {
		return nil, listed{}, false, err
	}
	k.setMark(one.tags, known.Through, known.Full, 0)
	return []listed{one}, target, true, nil
}

// setMark records up to which time the source is copied once this landing is applied: up to its
// newest tag, minus last. If a tag has no time, setMark records nothing.
func (k *Landing) setMark(tags *listing.List, through, full time.Time, last time.Duration) {
	if !k.Incremental || len(k.Of.From) != 1 {
		return
	}
	for i := range tags.Len() {
		t := tags.At(i).Updated
		if t.IsZero() {
			return
		}
		if t.After(through) {
			through = t
		}
	}
	if !through.IsZero() {
		k.Into.Mark = &Mark{k.Of.From[0], k.Of.To, ledger.Mark{Through: through.Add(-last), Full: full}}
	}
}
