// Package job keeps work that was accepted until it is done: in a database, through crashes of
// who runs it.
//
// A job is a row. Who claims it holds a lease on it, renews that, and is fenced by the number of
// its attempt: every change is made `WHERE id = … AND attempt = …`, so that a worker that was
// paused, and whose job went to another, changes nothing when it wakes up. docs/jobs.md has the
// states as a drawing. The package knows no images: a request is JSON, and a Runner reads it.
package job

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/drayage/dray/fault"
)

// State is where a job is.
type State string

const (
	Queued   State = "queued"   // it waits for a worker
	Running  State = "running"  // a worker holds its lease
	Waiting  State = "waiting"  // its runner asked to go on later; it is queued again then
	Done     State = "done"     // all of it took effect
	Partly   State = "partly"   // some of it did
	Failed   State = "failed"   // none of it did
	Canceled State = "canceled" // somebody asked for that
)

// Ended reports whether a job in this state never changes again.
func (s State) Ended() bool {
	return s == Done || s == Partly || s == Failed || s == Canceled
}

// States are all, in the order of a job's life.
func States() []State { return []State{Queued, Running, Waiting, Done, Partly, Failed, Canceled} }

// Failure is why a job did not do all.
type Failure struct {
	Kind fault.Kind `json:"kind"`
	Text string     `json:"text"`
	Hint string     `json:"hint,omitempty"`
}

// FailureOf is err as it is stored; nil for nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: fault.KindOf(err), Text: err.Error(), Hint: fault.HintOf(err)}
}

// Job is one request and how far it is.
type Job struct {
	ID              string          `json:"id"` // a ULID: later jobs have greater ones
	Kind            string          `json:"kind"`
	Principal       string          `json:"principal"`
	Request         json.RawMessage `json:"request,omitempty"`
	Source          string          `json:"source,omitempty"`
	Target          string          `json:"target,omitempty"`
	State           State           `json:"state"`
	Attempt         int             `json:"attempt"`         // how often it was claimed
	Lost            int             `json:"lost,omitempty"`  // how often its worker was not heard of again
	Owner           string          `json:"owner,omitempty"` // the worker, of the last attempt
	Key             string          `json:"key,omitempty"`
	Parent          string          `json:"parent,omitempty"`
	Schedule        string          `json:"schedule,omitempty"`
	CancelRequested bool            `json:"cancelRequested,omitempty"`
	Progress        json.RawMessage `json:"progress,omitempty"` // the latest snapshot, some seconds old while it runs
	Failure         *Failure        `json:"failure,omitempty"`
	Created         time.Time       `json:"created"`
	Started         time.Time       `json:"started,omitzero"` // the first attempt's; zero before
	Ended           time.Time       `json:"ended,omitzero"`   // zero before
}

// Submission is a job to be.
type Submission struct {
	Kind, Principal string
	Request         json.RawMessage
	Source, Target  string // what a person would search for in a list
	// Key is the client's idempotency key; "" for none. The same key of the same principal within
	// a day is the same job; another request under it is a Conflict.
	Key              string
	Parent, Schedule string
	Secret           []byte                        // sealed at rest, wiped when the job ends; nil for none
	Also             func(tx *sql.Tx, j Job) error // in the same transaction, for a job that is new; nil for nothing. It may run more than once
}

// Outcome is how a run ended.
type Outcome struct {
	State   State         // Done, Partly, Failed, Canceled; or Waiting, to be queued again
	After   time.Duration // with Waiting: how long
	Report  json.RawMessage
	Failure *Failure // nil for Done
}

// Item is one line of a report.
type Item struct {
	Seq  int64           `json:"seq"`
	Data json.RawMessage `json:"data"`
}

// Line is one line of a job's log.
type Line struct {
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Event is something that happens to a job as one watches.
//
// Kinds of ours are "state" and "ended", which carry the Job, "progress", which carries the
// snapshot, and "log", which carries a string. Others are the runner's.
type Event struct {
	Seq  int64           `json:"seq"` // grows; "state" and "ended" repeat the one before
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
	At   time.Time       `json:"at"`
}

// Filter selects jobs; its zero value selects all.
type Filter struct {
	Principal    string   // exactly
	Kinds        []string // any of
	States       []State  // any of
	Since, Until time.Time
	Text         string // within source or target, or what an id begins with; in any case
	Schedule     string
	Parent       string
	After        string // the cursor: what List returned as next
	Limit        int    // 0 is 50; at most 500
}

// Stats is the queue in figures.
type Stats struct {
	Jobs   map[State]int // as far as history reaches
	Oldest time.Duration // how long the oldest queued job waits; 0 when none does
}

// Sealer hides secrets at rest, each bound to its name.
type Sealer interface {
	Seal(plain []byte, name string) ([]byte, error)
	Open(sealed []byte, name string) ([]byte, error)
}

const columns = `id, kind, principal, request, source, target, state, attempt, lost, owner, client_key, parent, schedule,
	cancel_requested, progress, failure, created, started, ended`

type scanner interface{ Scan(...any) error }

func scan(row scanner, more ...any) (Job, error) {
	var j Job
	var request, progress, failure string
	var cancel, created, started, ended int64
	into := append([]any{&j.ID, &j.Kind, &j.Principal, &request, &j.Source, &j.Target, &j.State, &j.Attempt, &j.Lost, &j.Owner,
		&j.Key, &j.Parent, &j.Schedule, &cancel, &progress, &failure, &created, &started, &ended}, more...)
	if err := row.Scan(into...); err != nil {
		return Job{}, err
	}
	j.Request, j.Progress, j.CancelRequested = raw(request), raw(progress), cancel != 0
	if failure != "" {
		j.Failure = &Failure{}
		if err := json.Unmarshal([]byte(failure), j.Failure); err != nil {
			return Job{}, err
		}
	}
	j.Created, j.Started, j.Ended = instant(created), instant(started), instant(ended)
	return j, nil
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
