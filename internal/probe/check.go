package probe

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Request asks whether an image can be read from Source and, if Target is set, written to Target.
type Request struct {
	Source      string
	Target      string
	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

// Check finds out whether an image can be copied.
func Check(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (report.Check, error) {
	names = names.Noting(obs)
	source, err := names.Parse(req.Source, fault.Source)
	if err != nil {
		return report.Check{}, err
	}
	source = name.WithLatest(source)
	s := b.Begin(req.SourceLogin, req.TargetLogin, obs)
	defer s.Release()
	from := &checker{session: s, side: fault.Source, name: source}
	var to *checker
	var wg sync.WaitGroup
	if req.Target != "" {
		target, err := checkTarget(names, req.Target, source)
		if err != nil {
			return report.Check{}, err
		}
		to = &checker{session: s, side: fault.Target, name: target}
		wg.Go(func() { to.target(ctx) })
	}
	from.source(ctx)
	wg.Wait()
	var rep report.Check
	if to != nil {
		to.compareTags(ctx, from)
		from.gate(ctx, to)
		rep.Sides = []report.Side{from.report(), to.report()}
	} else {
		rep.Sides = []report.Side{from.report()}
	}
	if ctx.Err() != nil {
		return rep, &fault.Fault{Kind: fault.Canceled, Op: "check", Err: context.Cause(ctx)}
	}
	rep.Traffic = s.Traffic.Exchanged()
	conclude(&rep, from, to)
	return rep, nil
}

func checkTarget(names *name.Reader, s string, source ref.Name) (ref.Name, error) {
	target, err := names.Parse(s, fault.Target)
	if err != nil {
		return ref.Name{}, err
	}
	if target.Digest != "" {
		return ref.Name{}, name.DigestTarget(s)
	}
	if target.Tag == "" && target.HasTags() {
		target.Tag = source.Tag
	}
	return target, nil
}

// conclude sets the verdict of the report.
func conclude(r *report.Check, from, to *checker) {
	var bad []string
	for _, s := range r.Sides {
		for _, f := range s.Findings {
			if f.State == report.Fail {
				what := f.What
				if what == "reached" {
					what = "connection" // "reached" would read as a success
				}
				bad = append(bad, string(s.Side)+" "+what)
			}
		}
	}
	r.Ready = len(bad) == 0
	switch {
	case !r.Ready:
		r.Verdict = "not ready, problems with: " + strings.Join(bad, ", ")
	case to == nil:
		r.Verdict = fmt.Sprintf("ready: no problem found, %s can be read", from.name)
	default:
		r.Verdict = fmt.Sprintf("ready: no problem found, %s can be copied to %s", from.name, to.name)
	}
}
