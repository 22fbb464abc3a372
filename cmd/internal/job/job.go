package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Package wire declares the types that a client sees, so that a client does not link a database.
type (
	// State is the state of a job.
	State = wire.State
	// Failure says why a job did not succeed completely.
	Failure = wire.Failure
	// Job is one queued request with its state and progress.
	Job = wire.Job
	// Item is one line of a job's report.
	Item = wire.Item
	// Line is one line of a job's log.
	Line = wire.Line
	// Event is one event of a job that is being watched.
	Event = wire.Event
	// Filter selects jobs.
	Filter = wire.Filter
	// Schedule creates a job each time that it is due.
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

// FailureOf returns err in its stored form. It returns nil if err is nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: fault.KindOf(err), Side: fault.SideOf(err), Text: err.Error(), Hint: fault.HintOf(err)}
}

// Submission describes a job that Submit creates. Kind and Principal are required.
type Submission struct {
	Kind, Principal string
	Request         json.RawMessage
	Source, Target  string // for lists of jobs, in which people search for them
	// Same is the part of Request that tells requests with the same Key apart; nil means all of it.
	Same json.RawMessage
	// Key is the client's idempotency key; "" means none. For one day, the same key of the same principal
	// stands for the same job. Another request with the same key is a Conflict.
	Key              string
	Parent, Schedule string
	Secret           []byte // stored sealed, and deleted when the job ends; nil means none
	// Also runs in the same transaction if the job is new, perhaps more than once; nil does nothing.
	Also func(ctx context.Context, tx *sql.Tx, j Job) error
}

// submission is a Submission with the values that must be the same each time that its transaction runs.
type submission struct {
	Submission
	id     string
	now    time.Time
	due    time.Time // when the schedule was due; zero for a job that no schedule fired
	sealed []byte
}

// Outcome is the result of a run.
type Outcome struct {
	State   State         // Done, Partly, Failed or Canceled; or Waiting, to run the job again later
	After   time.Duration // with Waiting: the time until the job is queued again
	Report  json.RawMessage
	Failure *Failure // nil for Done
}

// Stats has figures of the queue.
type Stats struct {
	Jobs   map[State]int // number of jobs in each state, including the history that is kept
	Oldest time.Duration // how long the oldest queued job has waited; 0 if no job is queued
}

// Sealer encrypts secrets for storage. A sealed secret can only be opened with the name that it was
// sealed with.
type Sealer interface {
	Seal(plain []byte, name string) ([]byte, error)
	Open(sealed []byte, name string) ([]byte, error)
}

const columns = `id, kind, principal, request, source, target, state, attempt, lost, owner, client_key, parent,
	schedule, cancel_requested, progress, failure, created, started, ended`

type scanner interface{ Scan(...any) error }

func scan(row scanner) (Job, error) {
	var j Job
	var request, progress, failure string
	var cancel, created, started, ended int64
	if err := row.Scan(&j.ID, &j.Kind, &j.Principal, &request, &j.Source, &j.Target, &j.State, &j.Attempt, &j.Lost,
		&j.Owner, &j.Key, &j.Parent, &j.Schedule, &cancel, &progress, &failure, &created, &started, &ended); err != nil {
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
