package wire

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// Progress is how far a job is: the data of "progress" events, and the snapshot in the job.
type Progress struct {
	Steps    int     `json:"steps"`    // planned so far; 0 while a plan is made
	Finished int     `json:"finished"` // of them, well or not
	Failed   int     `json:"failed,omitempty"`
	Done     int64   `json:"doneBytes"`         // that arrived
	Total    int64   `json:"totalBytes"`        // that have to arrive, as far as is known
	Blobs    []Blob  `json:"blobs,omitempty"`   // under way, the oldest first, up to 16
	Waiting  []Wait  `json:"waiting,omitempty"` // registries that are not asked for the moment
	Rate     float64 `json:"bytesPerSecond"`
}

// Blob is one that is under way.
type Blob struct {
	Name   string    `json:"name"` // of the repository that it goes to
	Digest string    `json:"digest"`
	Done   int64     `json:"doneBytes"`
	Total  int64     `json:"totalBytes"`
	Since  time.Time `json:"since"`
}

// Wait is why a registry is not asked for the moment.
type Wait struct {
	Host  string    `json:"host"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
}

// Told is an event.Event as it is told to who watches a job.
type Told struct {
	Time   time.Time     `json:"time"`
	Kind   event.Kind    `json:"kind"`
	Step   int           `json:"step,omitempty"`
	Side   string        `json:"side,omitempty"`
	Name   string        `json:"name,omitempty"`
	Host   string        `json:"host,omitempty"`
	Digest string        `json:"digest,omitempty"`
	Done   int64         `json:"doneBytes,omitempty"`
	Total  int64         `json:"totalBytes,omitempty"`
	Count  int           `json:"count,omitempty"`
	Wait   time.Duration `json:"waitNanoseconds,omitempty"`
	Text   string        `json:"text,omitempty"`
	Error  *ToldError    `json:"error,omitempty"`
}

// ToldError is an error as it is told.
type ToldError struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

// TellOf is e as it is told.
func TellOf(e event.Event) Told {
	out := Told{Time: e.Time, Kind: e.Kind, Step: e.Step, Side: e.Side, Name: e.Name, Host: e.Host, Digest: e.Digest, Done: e.Done, Total: e.Total, Count: e.Count, Wait: e.Wait, Text: e.Text}
	if e.Err != nil {
		out.Error = &ToldError{fault.KindOf(e.Err), e.Err.Error(), fault.HintOf(e.Err)}
	}
	return out
}

// Event is the event that t tells of.
func (t Told) Event() event.Event {
	out := event.Event{Time: t.Time, Kind: t.Kind, Step: t.Step, Side: t.Side, Name: t.Name, Host: t.Host, Digest: t.Digest, Done: t.Done, Total: t.Total, Count: t.Count, Wait: t.Wait, Text: t.Text}
	if t.Error != nil {
		out.Err = &fault.Fault{Kind: t.Error.Kind, Hint: t.Error.Hint, Err: errors.New(t.Error.Message)}
	}
	return out
}

// PlanReport is the report of a job of Kind plan, with the sum of a dray.TransferReport. The plan's
// steps are the job's items.
type PlanReport[Sum any] struct {
	Header  json.RawMessage `json:"header"` // first line of the plan's file
	Summary Sum             `json:"summary"`
}
