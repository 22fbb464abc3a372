package prove

import (
	"github.com/drayage/dray/plan"
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
	case s.Action == plan.Broken:
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
