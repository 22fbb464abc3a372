package dray

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Severity says how a finding looks.
type Severity string

const (
	OK      Severity = "ok"
	Warn    Severity = "warn"    // it works, and may surprise
	Fail    Severity = "fail"    // a copy would end here
	Unknown Severity = "unknown" // nothing tells
)

// Finding is one thing that was looked at.
type Finding struct {
	What   string     `json:"what"` // "reached", "login", "pull", "push", "tag", "lock", "quota", "ranges", "mount", "resume", "referrers"
	State  Severity   `json:"state"`
	Text   string     `json:"text"`
	Remedy string     `json:"remedy,omitempty"` // what to do about it
	Kind   fault.Kind `json:"kind,omitempty"`   // of a Fail
}

// SideReport is what was found at one end.
type SideReport struct {
	Side     fault.Side `json:"side"`
	Name     string     `json:"name"`
	Product  string     `json:"product,omitempty"` // "acr", "ecr", "hub", …; "" is not known
	Findings []Finding  `json:"findings"`
}

// CheckReport is the answer of Check. Its JSON form is what dray check prints.
type CheckReport struct {
	Ready   bool               `json:"ready"` // nothing that was found stands in the way
	Verdict string             `json:"verdict"`
	Sides   []SideReport       `json:"sides"`
	Traffic map[string]Traffic `json:"traffic"`
}

// grave orders the kinds of failures, the gravest first: what is not reached can not deny.
var grave = []fault.Kind{fault.Canceled, fault.Refused, fault.Unavailable, fault.Throttled, fault.Denied, fault.NotFound, fault.Conflict}

// Err is nil when Ready, else the gravest finding as an error.
func (r CheckReport) Err() error {
	var worst *fault.Fault
	rank := func(k fault.Kind) int {
		if i := slices.Index(grave, k); i >= 0 {
			return i
		}
		return len(grave)
	}
	for _, s := range r.Sides {
		for _, f := range s.Findings {
			if f.State == Fail && (worst == nil || rank(f.Kind) < rank(worst.Kind)) {
				worst = &fault.Fault{Kind: f.Kind, Side: s.Side, Op: "check", Name: s.Name, Hint: f.Remedy, Err: fmt.Errorf("%s: %s", f.What, f.Text)}
			}
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// checkRequest asks whether an image can be read and, with a Target, written there.
type checkRequest struct {
	Source      string
	Target      string
	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

// check finds out whether an image can be copied.
func check(ctx context.Context, b *base, names *reader, req checkRequest, obs event.Observer) (CheckReport, error) {
	source, err := names.parse(req.Source)
	if err != nil {
		return CheckReport{}, err
	}
	source = withLatest(source)
	s := b.begin(req.SourceLogin, req.TargetLogin, obs)
	defer s.release()
	from := &checker{session: s, side: fault.Source, name: source}
	var to *checker
	var wg sync.WaitGroup
	if req.Target != "" {
		target, err := checkTarget(names, req.Target, source)
		if err != nil {
			return CheckReport{}, err
		}
		to = &checker{session: s, side: fault.Target, name: target}
		wg.Go(func() { to.target(ctx) })
	}
	from.source(ctx)
	wg.Wait()
	rep := CheckReport{Sides: []SideReport{from.report()}}
	if to != nil {
		to.meeting(ctx, from)
		rep.Sides = append(rep.Sides, to.report())
	}
	if ctx.Err() != nil {
		return rep, &fault.Fault{Kind: fault.Canceled, Op: "check", Err: context.Cause(ctx)}
	}
	rep.Traffic = s.exchanged()
	rep.conclude(from, to)
	return rep, nil
}

func checkTarget(names *reader, s string, source ref.Name) (ref.Name, error) {
	target, err := names.parse(s)
	if err != nil {
		return ref.Name{}, err
	}
	if target.Digest != "" {
		return ref.Name{}, digestTarget(s)
	}
	if target.Tag == "" {
		target.Tag = source.Tag
	}
	return target, nil
}

// conclude writes the last line.
func (r *CheckReport) conclude(from, to *checker) {
	var bad []string
	for _, s := range r.Sides {
		for _, f := range s.Findings {
			if f.State == Fail {
				bad = append(bad, string(s.Side)+" "+f.What)
			}
		}
	}
	r.Ready = len(bad) == 0
	switch {
	case !r.Ready:
		r.Verdict = "not ready: in the way: " + strings.Join(bad, ", ")
	case to == nil:
		r.Verdict = fmt.Sprintf("ready: %s can be read as far as can be seen", from.name)
	default:
		r.Verdict = fmt.Sprintf("ready: dray copy %s %s will work as far as can be seen", from.name, to.name)
	}
}
