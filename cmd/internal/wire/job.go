package wire

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
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

// Query is f as GET /jobs takes it.
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

// Schedule makes a job again and again.
type Schedule struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"` // one of its principal's
	Kind      string          `json:"kind"`
	Principal string          `json:"principal"`
	Cron      string          `json:"cron"` // five fields, or @hourly, @daily, @every 6h…; H takes a minute of its own
	Zone      string          `json:"zone"` // an IANA time zone; "" is UTC
	Request   json.RawMessage `json:"request,omitempty"`
	Source    string          `json:"source,omitempty"`
	Target    string          `json:"target,omitempty"`
	Paused    bool            `json:"paused"`
	Created   time.Time       `json:"created"`
	NextDue   time.Time       `json:"nextDue,omitzero"`
	LastDue   time.Time       `json:"lastDue,omitzero"` // of the latest firing, or when it was run by hand
	LastJob   string          `json:"lastJob,omitempty"`
	LastState State           `json:"lastState,omitempty"` // "" when that job is no longer kept
}
