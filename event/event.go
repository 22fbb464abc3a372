package event

import (
	"time"
)

// Kind names what happened.
//
// About a step of a plan:
//   - [Resolved]: the digest of a source name is known.
//   - [Sized]: the number and size of the blobs to copy are known.
//   - [Finished]: the step is done.
//   - [Failed]: the step failed.
//
// About a blob:
//   - [Present]: the target already has it.
//   - [Mounted]: the registry linked it from another repository.
//   - [Started]: its bytes begin to move.
//   - [Advanced]: more of its bytes moved.
//   - [Restarted]: it begins again from byte 0.
//   - [Moved]: it arrived, and its digest is verified.
//
// About a manifest or a tag:
//   - [Committed]: the target accepted a manifest or an index.
//   - [Tagged]: a tag points to a new digest.
//
// About requests:
//   - [Waiting]: a limit delays requests.
//   - [Retried]: a request is sent again.
//
// About anything:
//   - [Noted]: a note for a person.
type Kind string

const (
	// Resolved means that a source name was resolved to Digest.
	Resolved Kind = "resolved"

	// Sized means that the work of a step is known: Count blobs with Total bytes have to arrive.
	Sized Kind = "sized"

	// Present means that the target already had the blob.
	Present Kind = "present"

	// Mounted means that the registry linked the blob from another repository; no bytes moved.
	Mounted Kind = "mounted"

	// Started means that the bytes of a blob begin to move.
	Started Kind = "started"

	// Advanced means that Done changed. There are at most 10 of them per second and blob.
	Advanced Kind = "advanced"

	// Restarted means that a blob begins again from byte 0; Err says why.
	Restarted Kind = "restarted"

	// Moved means that a blob arrived and that its digest was verified.
	Moved Kind = "moved"

	// Committed means that the target accepted a manifest or an index.
	Committed Kind = "committed"

	// Tagged means that a tag now points to Digest.
	Tagged Kind = "tagged"

	// Finished means that a step ended without an error.
	Finished Kind = "finished"

	// Failed means that a step ended with Err.
	Failed Kind = "failed"

	// Noted means that Text says something that a person should know.
	Noted Kind = "noted"

	// Waiting means that a limit or a 429 answer delays requests to Host for Wait; Text names the
	// limit.
	Waiting Kind = "waiting"

	// Retried means that a request is sent again after Wait because of Err.
	Retried Kind = "retried"
)

// Event is one thing that happened. The zero value of a field means that the field does not apply.
type Event struct {
	Time   time.Time
	Kind   Kind
	Step   int           // index into the plan's Steps
	Side   string        // "source" or "target"
	Name   string        // canonical name of the image or repository
	Host   string        // registry, for Waiting and Retried
	Digest string        // "sha256:…"
	Done   int64         // bytes so far
	Total  int64         // bytes expected
	Count  int           // for Sized: blobs; for Waiting: images that wait, if known; for Noted: entries, tags
	Wait   time.Duration // for Waiting and Retried
	Text   string        // for a person, for Noted and Waiting
	Err    error         // why, for Failed, Restarted and Retried; for Noted if there is a cause
}

// Observer receives events. Many goroutines call it at the same time, so it must be safe for
// concurrent use, and it must return quickly. It cannot stop an operation; cancel the context for
// that. A nil Observer ignores every event.
type Observer func(Event)

// Tell calls o with e, unless o is nil. If e has no Time, Tell sets it to the current time.
func (o Observer) Tell(e Event) {
	if o == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	o(e)
}

// Request describes one HTTP exchange with a registry after it has ended. It is meant for metrics and
// for debugging. The zero value of a field means that the field does not apply.
type Request struct {
	Time     time.Time
	Host     string        // registry
	Name     string        // the image or repository that the request is about
	Method   string        // "GET"
	URL      string        // without query values, because they may carry a capability
	Status   int           // HTTP status; 0 if no answer came
	Sent     int64         // body bytes sent
	Received int64         // body bytes received
	Took     time.Duration // how long the exchange took
	Err      error         // why no answer came, or why its body could not be read
}

// Requests receives a [Request] for each HTTP exchange. What [Observer] says about goroutines and
// speed applies to it too. A nil Requests ignores every request.
type Requests func(Request)

// Tell calls r with q, unless r is nil. If q has no Time, Tell sets it to the current time.
func (r Requests) Tell(q Request) {
	if r == nil {
		return
	}
	if q.Time.IsZero() {
		q.Time = time.Now()
	}
	r(q)
}

// Watch holds a function for events and a function for requests. The zero Watch ignores both.
type Watch struct {
	Events   Observer
	Requests Requests
}

// Tell passes e to w.Events.
func (w Watch) Tell(e Event) { w.Events.Tell(e) }

// Request passes q to w.Requests.
func (w Watch) Request(q Request) { w.Requests.Tell(q) }
