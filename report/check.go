package report

import (
	"fmt"
	"slices"

	"github.com/drayage/dray/fault"
)

// Severity says what a finding means for a copy:
//
//   - [OK]: it works.
//   - [Warn]: it works, but may surprise.
//   - [Fail]: a copy would fail.
//   - [Unknown]: it could not be found out.
type Severity string

const (
	// OK means that what was checked works.
	OK Severity = "ok"

	// Warn means that it works, but may surprise.
	Warn Severity = "warn"

	// Fail means that a copy would fail because of it.
	Fail Severity = "fail"

	// Unknown means that nothing tells whether it works.
	Unknown Severity = "unknown"
)

// Finding is the result of checking one thing.
type Finding struct {
	// What is "reached", "login", "pull", "push", "tag", "lock", "content", "quota", "ranges", "mount",
	// "resume" or "referrers".
	What   string     `json:"what"`
	State  Severity   `json:"state"`
	Text   string     `json:"text"`             // what was found, for a person
	Remedy string     `json:"remedy,omitempty"` // what to do about it, for a person
	Kind   fault.Kind `json:"kind,omitempty"`   // the kind of error that a copy would return; for Fail only
}

// Side holds what was found at one end of a copy.
type Side struct {
	Side     fault.Side `json:"side"`
	Name     string     `json:"name"`              // the image
	Product  string     `json:"product,omitempty"` // what the registry is: "acr", "ecr", "dockerhub", …; "" if not known
	Findings []Finding  `json:"findings"`
}

// Check is the answer of Dray.Check. Its JSON form is what dray check prints.
type Check struct {
	Ready   bool               `json:"ready"`   // no finding is a Fail
	Verdict string             `json:"verdict"` // one line for a person
	Sides   []Side             `json:"sides"`   // the source, then the target if there is one
	Traffic map[string]Traffic `json:"traffic"` // by registry host
}

// grave orders the kinds of failures, the most fundamental first: a registry that cannot be reached
// cannot deny anything.
var grave = []fault.Kind{
	fault.Canceled,
	fault.Refused,
	fault.Unavailable,
	fault.Throttled,
	fault.Denied,
	fault.NotFound,
	fault.Conflict,
}

// Err returns nil if r is Ready, else the most fundamental Fail as an error. If the registry cannot be
// reached, for example, Err returns that and not that the pull failed.
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
				worst = &fault.Fault{
					Kind: f.Kind,
					Side: s.Side,
					Op:   "check",
					Name: s.Name,
					Hint: f.Remedy,
					Err:  fmt.Errorf("%s: %s", f.What, f.Text),
				}
			}
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}
