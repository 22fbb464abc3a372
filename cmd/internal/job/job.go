package job

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// What is shown of a job is declared in package wire, so that who only reads it links no database.
type (
	State    = wire.State
	Failure  = wire.Failure
	Job      = wire.Job
	Item     = wire.Item
	Line     = wire.Line
	Event    = wire.Event
	Filter   = wire.Filter
	Schedule = wire.Schedule
)

// The states of a job's life, in order.
const (
	Queued   = wire.Queued
	Running  = wire.Running
	Waiting  = wire.Waiting
	Done     = wire.Done
	Partly   = wire.Partly
	Failed   = wire.Failed
	Canceled = wire.Canceled
)

// FailureOf is err as it is stored; nil for nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: fault.KindOf(err), Text: err.Error(), Hint: fault.HintOf(err)}
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

// submission is a Submission with what is decided once, however often its transaction runs.
type submission struct {
	Submission
	id     string
	now    time.Time
	due    time.Time // of a firing
	sealed []byte
}

// Outcome is how a run ended.
type Outcome struct {
	State   State         // Done, Partly, Failed, Canceled; or Waiting, to be queued again
	After   time.Duration // with Waiting: how long
	Report  json.RawMessage
	Failure *Failure // nil for Done
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

func instant(us int64) time.Time { return store.Time(us) }
