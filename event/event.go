package event

import (
	"time"
)

// Kind names a thing that happened.
type Kind string

const (
	Resolved  Kind = "resolved"  // a source name became a digest
	Sized     Kind = "sized"     // the work of a step is known: Total bytes in Count blobs have to arrive
	Present   Kind = "present"   // the target already had the blob
	Mounted   Kind = "mounted"   // the registry linked the blob; no bytes moved
	Started   Kind = "started"   // bytes of a blob begin to move
	Advanced  Kind = "advanced"  // Done changed; at most 10 per second per blob
	Restarted Kind = "restarted" // a blob begins again from byte 0; Err says why
	Moved     Kind = "moved"     // a blob arrived and its digest was checked
	Committed Kind = "committed" // a document was accepted
	Tagged    Kind = "tagged"    // a tag now points at Digest
	Finished  Kind = "finished"  // a step ended well
	Failed    Kind = "failed"    // a step ended with Err
	Noted     Kind = "noted"     // Text is something a person should know
	Waiting   Kind = "waiting"   // a limit or a 429 holds us for Wait; Text says whose
	Retried   Kind = "retried"   // a request is tried again after Wait because of Err
)

// Event is one line of the story. The zero value of a field means "does not apply".
type Event struct {
	Time   time.Time
	Kind   Kind
	Step   int    // index into the plan's Steps
	Side   string // "source" or "target"
	Name   string // canonical image name
	Host   string // registry, for Waiting and Retried
	Digest string // "sha256:…"
	Done   int64  // bytes so far
	Total  int64  // bytes expected
	Count  int    // blobs, for Sized
	Wait   time.Duration
	Text   string
	Err    error
}

// Observer receives events. It is called from many goroutines at once and must
// return quickly; it can not stop a transfer (cancel the context for that).
// A nil Observer ignores everything.
type Observer func(Event)

// Tell calls o when it is not nil, and stamps the time.
func (o Observer) Tell(e Event) {
	if o == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	o(e)
}

// Request is one HTTP exchange with a registry that has ended, for metrics and for who looks for
// trouble. The zero value of a field means "does not apply".
type Request struct {
	Time     time.Time
	Host     string // registry
	Name     string // of the image or repository that it was about
	Method   string
	URL      string // without query values: they may carry a capability
	Status   int    // 0 when no answer came
	Sent     int64  // body bytes sent
	Received int64  // body bytes received
	Took     time.Duration
	Err      error
}

// Requests receives requests, on the terms of an Observer. A nil Requests ignores everything.
type Requests func(Request)

// Tell calls r when it is not nil, and stamps the time.
func (r Requests) Tell(q Request) {
	if r == nil {
		return
	}
	if q.Time.IsZero() {
		q.Time = time.Now()
	}
	r(q)
}

// Watch is who watches events and who watches requests. The zero Watch is nobody.
type Watch struct {
	Events   Observer
	Requests Requests
}

// Tell tells of an event.
func (w Watch) Tell(e Event) { w.Events.Tell(e) }

// Request tells of a request.
func (w Watch) Request(q Request) { w.Requests.Tell(q) }
