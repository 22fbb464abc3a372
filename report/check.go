package report

import (
	"fmt"
	"slices"

	"github.com/drayage/dray/fault"
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

// Side is what was found at one end.
type Side struct {
	Side     fault.Side `json:"side"`
	Name     string     `json:"name"`
	Product  string     `json:"product,omitempty"` // "acr", "ecr", "hub", …; "" is not known
	Findings []Finding  `json:"findings"`
}

// Check is the answer of Check. Its JSON form is what dray check prints.
type Check struct {
	Ready   bool               `json:"ready"` // nothing that was found stands in the way
	Verdict string             `json:"verdict"`
	Sides   []Side             `json:"sides"`
	Traffic map[string]Traffic `json:"traffic"`
}

// grave orders the kinds of failures, the gravest first: what is not reached can not deny.
var grave = []fault.Kind{fault.Canceled, fault.Refused, fault.Unavailable, fault.Throttled, fault.Denied, fault.NotFound, fault.Conflict}

// Err is nil when Ready, else the gravest finding as an error.
func (r Check) Err() error {
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
