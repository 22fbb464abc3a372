// Package share has the stored forms of the parts of a job and of what became of them, and adds them up. A part has
// no logins: the process that carries it out reads the request of the job, and its sealed logins.
package share

import (
	"cmp"
	"encoding/json"
	"errors"
	"iter"
	"slices"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Part is a part of a job. One of Of, Batch and Failed is set.
type Part struct {
	Of     *dray.Part      `json:"of,omitempty"` // of a transfer or a verification
	Batch  *dray.BatchPart `json:"batch,omitempty"`
	Failed []Step          `json:"failed,omitempty"` // steps of another job that are repeated

	// Found is what was found while the job was divided. Only the first part has it, for Sum; it is not carried out.
	Found *Share `json:"found,omitempty"`
	// Bare means that the job has more steps than its report lists.
	Bare bool `json:"bare,omitempty"`
}

// Of returns the parts of a transfer or a verification.
func Of(parts []dray.Part) (all []Part) {
	for i := range parts {
		all = append(all, Part{Of: &parts[i]})
	}
	return all
}

// Step says which step of another job is repeated.
type Step struct {
	Asked string   `json:"asked,omitempty"` // the entry of the request, if it could not be read
	From  ref.Name `json:"from,omitzero"`
	To    ref.Name `json:"to,omitzero"`
}

// Share is what became of a part. It is the report of its outcome.
type Share struct {
	Transfer *dray.TransferReport `json:"transfer,omitempty"`
	Receipt  *dray.Receipt        `json:"receipt,omitempty"`
	Batch    *dray.Report         `json:"batch,omitempty"`
	Steps    int                  `json:"steps,omitempty"` // of the batch, also if it does not list them

	Good  int           `json:"good,omitempty"`  // steps that succeeded
	Bad   int           `json:"bad,omitempty"`   // steps that failed
	Kinds []fault.Kind  `json:"kinds,omitempty"` // of the steps that failed
	First *plan.Problem `json:"first,omitempty"` // the error of the first of them
}

// Total is the sum of what became of the parts of a job.
type Total struct {
	Good, Bad int
	Kinds     map[fault.Kind]bool
	First     error // of the first step that failed

	Parts    int          // that the job has
	Lost     int          // that failed as a whole
	Why      *job.Failure // of the first of these
	Open     int          // that were not carried out
	Canceled bool         // a part was canceled
}

// Each yields what was found while the job was divided, and then the share of each part that has one, and counts all of
// them in t.
func (t *Total) Each(found *Share, parts iter.Seq2[job.Outcome, error]) iter.Seq2[Share, error] {
	t.Kinds = map[fault.Kind]bool{}
	return func(yield func(Share, error) bool) {
		if found != nil && !yield(*found, nil) {
			return
		}
		for out, err := range parts {
			var s Share
			if err == nil {
				s, err = t.add(out)
			}
			if (err != nil || s.some()) && !yield(s, err) {
				return
			}
		}
	}
}

// add counts the outcome of a part, and returns its share.
func (t *Total) add(out job.Outcome) (s Share, err error) {
	t.Parts++
	switch {
	case !out.State.Ended():
		t.Open++
	case out.State == job.Canceled:
		t.Canceled = true
	}
	if len(out.Report) > 0 {
		if err := json.Unmarshal(out.Report, &s); err != nil {
			return s, &fault.Fault{Kind: fault.Internal, Op: "read report of part", Err: err}
		}
	}
	if out.State == job.Failed && s.Bad == 0 {
		t.Lost++
		t.Why = cmp.Or(t.Why, out.Failure)
	}
	t.Good, t.Bad = t.Good+s.Good, t.Bad+s.Bad
	for _, k := range s.Kinds {
		t.Kinds[k] = true
	}
	if t.First == nil && s.First != nil {
		t.First = s.First.Err()
	}
	return s, nil
}

// some reports whether the share has a report.
func (s Share) some() bool { return s.Transfer != nil || s.Receipt != nil || s.Batch != nil }

// Report returns what was found while a job was divided, as the report of the job, if that ended it; nil if there is
// none.
func (s *Share) Report() any {
	switch {
	case s == nil:
	case s.Transfer != nil:
		rep := *s.Transfer
		rep.Pending = nil
		return rep
	case s.Receipt != nil && !s.Receipt.When.IsZero():
		rec := *s.Receipt
		rec.Pending = nil
		return rec
	}
	return nil
}

var errOther = errors.New("the report of a part is one of another verb")

// Reports yields one report of each share.
func Reports[R any](shares iter.Seq2[Share, error], of func(Share) *R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for s, err := range shares {
			rep := of(s)
			if err == nil && rep == nil {
				rep, err = new(R), &fault.Fault{Kind: fault.Internal, Op: "read report of part", Err: errOther}
			}
			if rep == nil {
				rep = new(R)
			}
			if !yield(*rep, err) {
				return
			}
		}
	}
}

const (
	maxParts = 1000 // of a job that repeats steps
	maxSteps = 5000 // of one of its parts
)

// Divide divides steps into parts. Those with the same key are in one part, unless there are more of them than a part
// has at most.
func Divide(steps []Step, key func(Step) ref.Repo) [][]Step {
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(key(a).String(), key(b).String()) })
	few := (len(steps) + maxParts - 1) / maxParts
	var parts [][]Step
	for i, s := range steps {
		n := len(parts) - 1
		switch {
		case i == 0, len(parts[n]) >= maxSteps, len(parts[n]) >= few && key(s) != key(steps[i-1]):
			parts = append(parts, []Step{s})
		default:
			parts[n] = append(parts[n], s)
		}
	}
	return parts
}
