package report

import (
	"time"
)

// Moment returns a pointer to t, or nil if t is zero, which means that the time is not known.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Pulls says how much of a registry's pull limit a run used. At Docker Hub, reading a manifest counts
// as a pull; asking for its digest does not.
type Pulls struct {
	Spent   int        `json:"spent"`             // pulls of this run, including those for planning
	Left    *int       `json:"left,omitempty"`    // pulls that are left; nil if the registry reports no limit
	Limit   int        `json:"limit,omitempty"`   // pulls per time window; 0 if the registry reports no limit
	Refills *time.Time `json:"refills,omitempty"` // when all pulls are available again, at the latest; nil if all are
}
