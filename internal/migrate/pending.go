package migrate

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/internal/idle"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// pending is what the report of a part leaves to the sum of all parts, and what the split found.
type pending struct {
	Parts    int                   `json:"parts,omitempty"`    // of the split: how many there are
	Selected int                   `json:"selected,omitempty"` // of the split: the number of source repositories
	Split    bool                  `json:"split,omitempty"`
	Whole    bool                  `json:"whole,omitempty"` // the part is all of the request
	Plans    bool                  `json:"plans,omitempty"` // nothing was applied: steps that failed are no error
	Began    time.Time             `json:"began"`
	Ended    time.Time             `json:"ended"`
	Complete bool                  `json:"complete,omitempty"` // all sources of the part were looked at
	Tags     idle.Share            `json:"tags,omitzero"`
	Trims    trim.Count            `json:"trims,omitzero"`
	Digests  map[string]oci.Digest `json:"digests,omitempty"` // of a verification, by target repository
	Step     *plan.Problem         `json:"step,omitempty"`    // the error of the first step that failed
	Problem  *plan.Problem         `json:"problem,omitempty"` // why the part ended before its time
}

func problemOf(err error) *plan.Problem {
	if err == nil {
		return nil
	}
	return plan.ProblemOf(err)
}

func (p pending) raw() json.RawMessage {
	raw, _ := json.Marshal(p) // cannot fail: all of it is text, numbers and times
	return raw
}

// span is the time that several runs took together.
type span struct{ began, ended time.Time }

func (s *span) add(p pending) {
	if s.began.IsZero() || p.Began.Before(s.began) {
		s.began = p.Began
	}
	if p.Ended.After(s.ended) {
		s.ended = p.Ended
	}
}
