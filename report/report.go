package report

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Report is what Apply did, step by step, in the plan's order. Its JSON form is
// what every command prints with --output json.
type Report struct {
	Verb    string             `json:"verb"`
	Steps   []Step             `json:"steps"`
	Traffic map[string]Traffic `json:"traffic"`         // by registry host, planning included
	Pulls   map[string]Pulls   `json:"pulls,omitempty"` // by registry host, of those that count them: docker.io
	Notes   []string           `json:"notes,omitempty"` // what a person should know
	Took    time.Duration      `json:"tookNanoseconds"`
}

// State is how one step ended.
type State string

const (
	Done       State = "done"        // the target confirmed the planned digest
	Unchanged  State = "unchanged"   // it was right already
	Failed     State = "failed"      // see Err
	NotStarted State = "not_started" // something else stopped the run first
)

// Step pairs a step with its outcome.
type Step struct {
	plan.Step
	State State     `json:"state"`
	Blobs oci.Blobs `json:"blobs"` // counted once, at the first step of each target repository
	Err   error     `json:"-"`     // nil unless State is Failed

	Took   time.Duration `json:"tookNanoseconds,omitempty"` // of its image, which all its names share
	Healed bool          `json:"healed,omitempty"`          // the name was right, and what was lacking below it was sent

	Proven bool `json:"-"` // all that is below the name was asked for, now or once
	Lacks  bool `json:"-"` // it was, and not all is there
}

// Traffic is what was exchanged with one registry. Bytes are those of bodies.
type Traffic struct {
	Requests int   `json:"requests"`
	Retries  int   `json:"retries"`
	Sent     int64 `json:"sentBytes"`
	Received int64 `json:"receivedBytes"`
}

// MarshalJSON writes the step, its state and, where it failed, the problem.
func (s Step) MarshalJSON() ([]byte, error) {
	type plain Step
	out := struct {
		plain
		Problem *plan.Problem `json:"error,omitempty"`
	}{plain: plain(s)}
	if s.Err != nil {
		out.Problem = plan.ProblemOf(s.Err)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote; Err is then of the same Kind and words.
func (s *Step) UnmarshalJSON(raw []byte) error {
	type plain Step
	in := struct {
		*plain
		Problem *plan.Problem `json:"error"`
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.Problem != nil {
		s.Err = in.Problem.Err()
	}
	return nil
}

// Err is nil when every step ended as planned, else the error of the first step that failed.
func (r Report) Err() error {
	for _, s := range r.Steps {
		if s.Err != nil {
			return s.Err
		}
	}
	return nil
}

// Count returns how many steps ended in state s.
func (r Report) Count(s State) int {
	n := 0
	for _, step := range r.Steps {
		if step.State == s {
			n++
		}
	}
	return n
}
