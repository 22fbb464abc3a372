package report

import (
	"time"
)

// Moment is nil for a time that is not known.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Pulls is what a run spent of a registry's pull limit. At Docker Hub reading a
// manifest is a pull; asking for its digest is free.
type Pulls struct {
	Spent   int        `json:"spent"`             // by this run, planning included
	Left    *int       `json:"left,omitempty"`    // nil where the registry tells of no limit
	Limit   int        `json:"limit,omitempty"`   // in a window; 0 where the registry tells of none
	Refills *time.Time `json:"refills,omitempty"` // when all are back, at the latest; nil where none is missing
}
