package wire

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// State is the state of a job.
type State string

// The states of a job's life, in order. A job ends in one of the last four.
const (
	Queued   State = "queued"   // the job waits for a worker
	Running  State = "running"  // a worker runs the job, or several run its parts
	Waiting  State = "waiting"  // the job's runner asked to continue later; the job is queued again then
	Done     State = "done"     // every step succeeded
	Partly   State = "partly"   // some steps succeeded, others did not
	Failed   State = "failed"   // no step succeeded
	Canceled State = "canceled" // the job was canceled on request
)

// Ended reports whether s is final: a job in this state never changes again.
func (s State) Ended() bool {
	return s == Done || s == Partly || s == Failed || s == Canceled
}

// States returns all states, in the order of a job's life.
func States() []State { return []State{Queued, Running, Waiting, Done, Partly, Failed, Canceled} }

// Failure says why a job did not succeed completely.
type Failure struct {
	Kind fault.Kind `json:"kind"`
	Side fault.Side `json:"side,omitempty" enum:"source,target"`
	Text string     `json:"text"`
	Hint string     `json:"hint,omitempty"`
}

// Job is one queued request with its state and progress.
type Job struct {
	ID              string          `json:"id"` // a ULID: a later job has a greater ID
	Kind            string          `json:"kind"`
	Principal       string          `json:"principal"`
	Request         json.RawMessage `json:"request,omitempty"`
	Source          string          `json:"source,omitempty"`
	Target          string          `json:"target,omitempty"`
	Pool            string          `json:"pool,omitempty"`                                                                   // only workers of this pool run the job; "" means those of no pool
	Blocked         string          `json:"blocked,omitempty" doc:"why the queued job cannot start; only get-job returns it"` // such as "no worker is alive"; "" if a worker can take it
	State           State           `json:"state"`
	Attempt         int             `json:"attempt"`         // how often the job was begun
	Lost            int             `json:"lost,omitempty"`  // how many attempts ended because their process died
	Owner           string          `json:"owner,omitempty"` // the worker of the last attempt
	Key             string          `json:"key,omitempty"`
	Parent          string          `json:"parent,omitempty"`
	Schedule        string          `json:"schedule,omitempty"`
	CancelRequested bool            `json:"cancelRequested,omitempty"`
	Progress        json.RawMessage `json:"progress,omitempty"` // latest stored snapshot; about a second old while the job runs
	Failure         *Failure        `json:"failure,omitempty"`
	Created         time.Time       `json:"created"`
	Started         time.Time       `json:"started,omitzero"` // start of the first attempt; zero before
	Ended           time.Time       `json:"ended,omitzero"`   // zero until the job has ended
}

// Item is one line of a job's report. For most verbs it is one step.
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

// Event is one event of a job that is being watched.
//
// Package job itself sends four Kinds. Data of "state" and "ended" is the Job, Data of "progress" is
// the snapshot, and Data of "log" is a string. The job's runner sends all other Kinds.
type Event struct {
	Seq  int64           `json:"seq"` // increases; "state" and "ended" repeat the number of the previous event
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
	At   time.Time       `json:"at"`
}

// Filter selects jobs. A zero field selects every job.
type Filter struct {
	Principal    string    // the exact name
	Kinds        []string  // any of these
	States       []State   // any of these
	Since, Until time.Time // created at or after Since, and before Until
	Text         string    // a part of the source or the target, or the beginning of the ID; case does not matter
	Schedule     string
	Parent       string
	After        string // the cursor: the next that List returned with the previous page
	Limit        int    // jobs on a page; 0 means 50, the maximum is 500
}

// Query returns f as the query parameters of GET /jobs.
func (f Filter) Query() url.Values {
	q := url.Values{}
	add := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	var states []string
	for _, s := range f.States {
		states = append(states, string(s))
	}
	add("kind", strings.Join(f.Kinds, ","))
	add("state", strings.Join(states, ","))
	add("since", stamp(f.Since))
	add("until", stamp(f.Until))
	add("text", f.Text)
	add("principal", f.Principal)
	add("schedule", f.Schedule)
	add("parent", f.Parent)
	add("after", f.After)
	if f.Limit > 0 {
		add("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// Schedule creates a job each time that it is due.
type Schedule struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"` // unique among the schedules of the principal
	Kind      string          `json:"kind"`
	Principal string          `json:"principal"`
	Cron      string          `json:"cron"` // "30 3 * * *", "@daily", "@every 6h"; H is replaced by a fixed value derived from the ID
	Zone      string          `json:"zone"` // an IANA time zone; "" means UTC
	Request   json.RawMessage `json:"request,omitempty"`
	Source    string          `json:"source,omitempty"`
	Target    string          `json:"target,omitempty"`
	Pool      string          `json:"pool,omitempty"` // of its jobs, see Job
	Paused    bool            `json:"paused"`
	Created   time.Time       `json:"created"`
	NextDue   time.Time       `json:"nextDue,omitzero"`
	LastDue   time.Time       `json:"lastDue,omitzero"` // when LastJob was due, or when a person started it
	LastJob   string          `json:"lastJob,omitempty"`
	LastState State           `json:"lastState,omitempty"` // state of LastJob; "" if that job was deleted from history
}

// BlockedEvent is the kind of an event that says why a queued job cannot start. Its data is a Blocked.
const BlockedEvent = "blocked"

// Blocked is the data of a BlockedEvent.
type Blocked struct {
	Text string `json:"text"` // such as "no worker is alive"; "" says that the job can start now
}

// Worker is a process that runs jobs.
type Worker struct {
	ID      string    `json:"id"`              // differs from start to start
	Name    string    `json:"name"`            // for people, such as the name of the machine
	Kind    string    `json:"kind"`            // "server" or "worker"
	Pools   []string  `json:"pools,omitempty"` // the pools whose jobs it runs; none means the jobs of no pool
	Slots   int       `json:"slots"`           // how many jobs, or parts of jobs, it runs at a time; a server may have none
	Running int       `json:"running"`         // how many it runs at the moment
	Version string    `json:"version,omitempty"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`  // when it said last that it is alive
	Alive   bool      `json:"alive"` // whether it said so in the last seconds
}
