package report

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Report is the answer of Dray.Apply: what it did, step by step, in the plan's order. Its JSON form is
// what every command prints with --output json.
type Report struct {
	Verb    string             `json:"verb"`    // "import", "copy", "tag", "batch"
	Steps   []Step             `json:"steps"`   // one for each step of the plan
	Traffic map[string]Traffic `json:"traffic"` // by registry host, including the planning
	// Pulls is by registry host, for registries that count pulls: docker.io.
	Pulls map[string]Pulls `json:"pulls,omitempty"`
	Notes []string         `json:"notes,omitempty"` // what a person should know
	// LeftOut counts names without a step, since their images are for other platforms, which is accepted.
	LeftOut int           `json:"leftOut,omitempty"`
	Took    time.Duration `json:"tookNanoseconds"`
}

// State says how a step ended:
//
//   - [Done]: it was carried out.
//   - [Unchanged]: there was nothing to do.
//   - [Failed]: it failed.
//   - [NotFinished]: the run was interrupted while the step was under way.
//   - [NotStarted]: the run ended before it.
type State string

const (
	// Done means that the step was carried out and that the target confirmed the planned digest.
	Done State = "done"

	// Unchanged means that the target name was up to date.
	Unchanged State = "unchanged"

	// Failed means that the step failed; see [Step.Err].
	Failed State = "failed"

	// NotFinished means that the run was interrupted, or canceled, while the step was under way. The
	// target name may be set or not. The same request again continues it.
	NotFinished State = "not_finished"

	// NotStarted means that something else stopped the run before this step.
	NotStarted State = "not_started"
)

// Step is a step of a plan together with its outcome.
type Step struct {
	plan.Step
	State State     `json:"state"`
	Blobs oci.Blobs `json:"blobs"` // counted once for each target repository, at its first step
	Err   error     `json:"-"`     // why the step failed; nil unless State is Failed

	// Took is how long copying the image took. It is the same for all names of the image.
	Took time.Duration `json:"tookNanoseconds,omitempty"`
	// Referrers says what became of what refers to the image. It counts once for each target repository, at
	// its first step.
	Referrers Referrers `json:"referred,omitzero"`
	// Arrived means that the image is at the target, although the step failed: what refers to it is required,
	// and is not there.
	Arrived bool `json:"arrived,omitempty"`
	// Healed means that the name was up to date, but content was missing and was sent.
	Healed bool `json:"healed,omitempty"`

	// Via is [ViaAzure] if Azure imported the blobs that the target lacked. It is [ViaDray] if Azure was to do that
	// and dray did it; NotByAzure says why. It is "" if nobody asked for Azure, or no blob was lacking.
	Via        string        `json:"via,omitempty"`
	NotByAzure *plan.Problem `json:"notByAzure,omitempty"`

	// Unseen means that only Azure could see the image at the source: it was imported by its tag, and all that arrived
	// was looked at, but it was not compared with the source.
	Unseen bool `json:"unseen,omitempty"`

	Proven bool `json:"-"` // the target was asked for all content of the name and has it; now or in an earlier run
	Lacks  bool `json:"-"` // the target was asked for all content of the name and lacks some
}

// Left reports whether the name of the step is not what it should be: the step failed, or did not end.
func (s Step) Left() bool { return s.State != Done && s.State != Unchanged }

// The values of Via of a [Step].
const (
	ViaAzure = "azure"
	ViaDray  = "dray"
)

// Traffic is what was exchanged with one registry. Sent and Received count bytes of bodies.
type Traffic struct {
	Requests int   `json:"requests"`
	Retries  int   `json:"retries"`
	Sent     int64 `json:"sentBytes"`
	Received int64 `json:"receivedBytes"`
}

// MarshalJSON returns the step and its state as JSON. If Err is set, it adds the error as a
// [plan.Problem].
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

// UnmarshalJSON reads the form that [Step.MarshalJSON] returns. An error gets its Kind and its text
// back.
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

// Err returns the error of the first step that failed, or nil if no step failed.
func (r Report) Err() error {
	for _, s := range r.Steps {
		if s.Err != nil {
			return s.Err
		}
	}
	return nil
}

// Referrers says what became of what refers to all images.
func (r Report) Referrers() Referrers {
	var all Referrers
	for _, s := range r.Steps {
		all.Add(s.Referrers)
	}
	return all
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
