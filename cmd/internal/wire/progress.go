package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// Progress is the progress of a job. It is the data of "progress" events, and the snapshot that a
// Job contains.
type Progress struct {
	Steps    int     `json:"steps"`             // planned so far; 0 while a plan is made
	Finished int     `json:"finished"`          // steps that are done, or were done before
	Failed   int     `json:"failed,omitempty"`  // steps that failed
	Done     int64   `json:"doneBytes"`         // bytes transferred
	Total    int64   `json:"totalBytes"`        // bytes to transfer, of the blobs known so far
	Blobs    []Blob  `json:"blobs,omitempty"`   // blobs in transfer, the oldest first, at most 16
	Waiting  []Wait  `json:"waiting,omitempty"` // registries that receive no requests at the moment
	Rate     float64 `json:"bytesPerSecond"`

	// Of a job that is divided: its parts, and those that have ended. The figures above know only the parts
	// that have begun.
	Parts      int `json:"parts,omitempty"`
	PartsEnded int `json:"partsEnded,omitempty"`
}

// shownBlobs is the number of blobs that a snapshot has at most.
const shownBlobs = 16

// Plus returns the progress of two parts of one job together. Of a registry that makes both wait, it has the
// longer wait.
func (p Progress) Plus(o Progress) Progress {
	p.Steps, p.Finished, p.Failed = p.Steps+o.Steps, p.Finished+o.Finished, p.Failed+o.Failed
	p.Done, p.Total, p.Rate = p.Done+o.Done, p.Total+o.Total, p.Rate+o.Rate
	p.Blobs = slices.Concat(p.Blobs, o.Blobs)
	slices.SortFunc(p.Blobs, func(a, b Blob) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest))
	})
	p.Blobs = p.Blobs[:min(len(p.Blobs), shownBlobs)]
	all := slices.Concat(p.Waiting, o.Waiting)
	slices.SortFunc(all, func(a, b Wait) int { return cmp.Or(cmp.Compare(a.Host, b.Host), b.Until.Compare(a.Until)) })
	p.Waiting = slices.CompactFunc(all, func(a, b Wait) bool { return a.Host == b.Host })
	return p
}

// Blob is a blob in transfer.
type Blob struct {
	Name   string    `json:"name"` // the repository to which it is copied
	Digest string    `json:"digest"`
	Done   int64     `json:"doneBytes"`
	Total  int64     `json:"totalBytes"`
	Since  time.Time `json:"since"`
}

// Wait says why a registry receives no requests at the moment, and until when.
type Wait struct {
	Host  string    `json:"host"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
}

// Told is the JSON form of an event.Event, for clients that watch a job.
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

// ToldError is the JSON form of an event's error.
type ToldError struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

// TellOf returns the JSON form of e.
func TellOf(e event.Event) Told {
	out := Told{
		Time: e.Time, Kind: e.Kind, Step: e.Step, Side: e.Side, Name: e.Name, Host: e.Host, Digest: e.Digest,
		Done: e.Done, Total: e.Total, Count: e.Count, Wait: e.Wait, Text: e.Text,
	}
	if e.Err != nil {
		out.Error = &ToldError{fault.KindOf(e.Err), e.Err.Error(), fault.HintOf(e.Err)}
	}
	return out
}

// Event returns the event that t describes. Its error, if any, is a *fault.Fault.
func (t Told) Event() event.Event {
	out := event.Event{
		Time: t.Time, Kind: t.Kind, Step: t.Step, Side: t.Side, Name: t.Name, Host: t.Host, Digest: t.Digest,
		Done: t.Done, Total: t.Total, Count: t.Count, Wait: t.Wait, Text: t.Text,
	}
	if t.Error != nil {
		out.Err = &fault.Fault{Kind: t.Error.Kind, Hint: t.Error.Hint, Err: errors.New(t.Error.Message)}
	}
	return out
}

// PlanReport is the report of a job of Kind plan. Sum is the type of the summary, a
// dray.TransferReport. The steps of the plan are the items of the job.
type PlanReport[Sum any] struct {
	Header  json.RawMessage `json:"header"` // first line of the plan's file
	Summary Sum             `json:"summary"`
}
