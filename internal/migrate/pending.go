package migrate

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/idle"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// pending is what the report of a part leaves to the sum of all parts, and what the split found.
type pending struct {
	Parts    int  `json:"parts,omitempty"`    // of the split: how many there are
	Selected int  `json:"selected,omitempty"` // of the split: the number of source repositories
	Split    bool `json:"split,omitempty"`

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

// pending returns what is left to the sum. err is why the run ended before its time. The caller holds r.report.mu.
func (r *transferring) pending(err error) pending {
	p := pending{
		Whole: !r.divided, Plans: r.looks, Began: r.report.began, Ended: time.Now(), Complete: r.complete,
		Step: problemOf(r.report.sum.Err), Problem: problemOf(err),
	}
	switch {
	case r.splits: // the parts see the tags again that a check of all of them saw
		p.Split, p.Parts, p.Selected = true, r.parts, r.selected
	case r.divided:
		p.Tags, p.Trims, p.Digests = r.TagShare(), r.trims, r.digests
	}
	return p
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

// ofPart learns from the request what its part needs to know about its sources. It sends no request to a registry.
func (r *transferring) ofPart() error {
	sources, _, err := r.ends()
	r.report.sum.Notes = nil // those about the request are in the report of the split
	if err != nil {
		return err
	}
	for from := range reading(r.part) {
		for _, s := range sources {
			switch {
			case s.Single() && s.Repo == from, !s.Single() && s.Host == from.Host && r.req.Selection.Repository != "":
				r.Named[from] = true
			case s.Covers(from):
				r.Cataloged[from] = true
			}
		}
	}
	r.trackOwn(r.part)
	return nil
}

// chunks divides landings into parts. Landings that share a source are in one part, in their order.
func chunks(landings []plan.Landing) [][]plan.Landing {
	at := map[ref.Repo]int{} // the group of each source
	var groups [][]plan.Landing
	for _, l := range landings {
		into := -1
		for _, from := range l.From {
			if i, known := at[from]; known && into < 0 {
				into = i
			} else if known && i != into { // l joins two groups
				for _, moved := range groups[i] {
					for _, source := range moved.From {
						at[source] = into
					}
				}
				groups[into], groups[i] = append(groups[into], groups[i]...), nil
			}
		}
		if into < 0 {
			into = len(groups)
			groups = append(groups, nil)
		}
		groups[into] = append(groups[into], l)
		for _, from := range l.From {
			at[from] = into
		}
	}
	return crew.Parts(slices.DeleteFunc(groups, func(g []plan.Landing) bool { return g == nil }))
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

func (s span) took() time.Duration { return s.ended.Sub(s.began) }
