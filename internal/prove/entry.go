package prove

import (
	"fmt"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// EntryOf converts a step to a comparison.
func EntryOf(s plan.Step) report.Comparison {
	e := report.Comparison{From: s.From, To: s.To, Source: s.Digest(), Target: s.Replaces}
	if e.From.Digest = ""; s.Trim.Partial() {
		e.Origin, e.Trim = s.Origin(), s.Trim
	}
	if s.From.Tag == "" {
		e.From.Digest, e.To.Digest = s.From.Digest, s.From.Digest
	}
	if s.To.Tag != "" {
		e.To.Digest = ""
	}
	switch {
	case s.Impossible():
		e.Match, e.Err = report.Unproven, s.Problem.Err()
	case s.Action == plan.Skip:
		e.Match = report.Same
	case s.Replaces != "":
		e.Match = report.Differs
	default:
		e.Match = report.Absent
	}
	return e
}

// HasOwn reports whether the target of e keeps what it has under a digest tag. What the source has is not there
// then, and nothing can be checked below the name.
func HasOwn(e report.Comparison) bool { return e.Match == report.Same && e.Target != e.Source }

// KeepsOwn returns the note about a digest tag that a target keeps.
func KeepsOwn(name ref.Name, has, want oci.Digest) string {
	return fmt.Sprintf("the target keeps other content under a digest tag: %s is %s, the source is %s", name, has, want)
}
