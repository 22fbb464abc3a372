package report

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Depth says how much of a target is looked at.
type Depth string

const (
	// Digests compares what names point to: one line of a listing or one HEAD for each
	// name and side. It believes a target that its tags are complete.
	Digests Depth = "digests"

	// Deep reads each manifest at the target, asks there for each config and layer, with its
	// size, and for each referrer that the source has.
	Deep Depth = "deep"

	// Rehash is Deep, and reads the configs and layers at the target.
	Rehash Depth = "rehash"
)

// Match says how a target's name compares with its source.
type Match string

const (
	Same       Match = "same"       // as far as Depth looks
	Differs    Match = "differs"    // the name points to something else
	Absent     Match = "missing"    // the name is not there
	Incomplete Match = "incomplete" // the name is right, and something below it is not there
	Corrupted  Match = "corrupt"    // the name is right, and something below it has other bytes
	Unproven   Match = "unknown"    // it could not be found out; see Err
)

// Comparison is one name and how it compares.
type Comparison struct {
	From   ref.Name   `json:"from"`
	To     ref.Name   `json:"to"`
	Match  Match      `json:"match"`
	Source oci.Digest `json:"source,omitempty"` // what From points to
	Target oci.Digest `json:"target,omitempty"` // what To points to
	Lacks  []Lack     `json:"lacks,omitempty"`  // what is wrong below it; after a repair, what is left of that
	Healed bool       `json:"healed,omitempty"` // it was repaired, and is right now
	Err    error      `json:"-"`                // why it is not known, or could not be repaired
}

// Lack is content that a target should have.
type Lack struct {
	What   string     `json:"what"` // "manifest", "child", "config", "layer", "referrer"
	Digest oci.Digest `json:"digest"`
	Size   int64      `json:"size"`
	Why    string     `json:"why"` // "missing", "corrupt", "unlisted" of a referrer that is there
}

// MarshalJSON writes the entry and, where something failed, the problem.
func (e Comparison) MarshalJSON() ([]byte, error) {
	type plain Comparison
	out := struct {
		plain
		Problem *plan.Problem `json:"error,omitempty"`
	}{plain: plain(e)}
	if e.Err != nil {
		out.Problem = plan.ProblemOf(e.Err)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote; Err is then of the same Kind and words.
func (e *Comparison) UnmarshalJSON(raw []byte) error {
	type plain Comparison
	in := struct {
		*plain
		Problem *plan.Problem `json:"error"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.Problem != nil {
		e.Err = in.Problem.Err()
	}
	return nil
}

// Receipt is what Verify found, for the record.
type Receipt struct {
	Format       int                `json:"format"` // 1
	Tool         string             `json:"tool,omitempty"`
	By           string             `json:"by,omitempty"`
	When         time.Time          `json:"when"`
	Sources      []string           `json:"sources"`
	Target       string             `json:"target"`
	Depth        Depth              `json:"depth"`
	Sample       int                `json:"sample,omitempty"` // per cent; 0 is all
	Repositories int                `json:"repositories"`     // at the target
	Names        int                `json:"names"`            // that were compared
	Matches      map[Match]int      `json:"matches"`
	Extra        int                `json:"extra"` // tags that only the targets have; no trouble
	InUse        *InUse             `json:"inUse,omitempty"`
	Healed       int                `json:"healed,omitempty"` // among the Same
	Looked       Looked             `json:"looked"`
	Digest       oci.Digest         `json:"digest"`             // of a line "TO SOURCE MATCH\n" for each name, in order
	Troubles     []Comparison       `json:"troubles,omitempty"` // up to MaxTroubles
	Traffic      map[string]Traffic `json:"traffic"`
	Pulls        map[string]Pulls   `json:"pulls,omitempty"` // by registry host, of those that count them
	Notes        []string           `json:"notes,omitempty"`
	Took         time.Duration      `json:"tookNanoseconds"`
}

// Looked counts what was looked at in the targets, each once for a repository.
type Looked struct {
	Documents int   `json:"documents"` // manifests and indexes, read
	Blobs     int   `json:"blobs"`     // configs and layers, asked for
	Read      int   `json:"read"`      // of these, read
	Bytes     int64 `json:"bytes"`     // read
}

// MaxTroubles is how many entries a Receipt lists; visit is told all.
const MaxTroubles = 10_000

// Right reports whether all that was compared is the same, and nothing that is in use is lost.
func (r Receipt) Right() bool {
	return r.Names == r.Matches[Same] && (r.InUse == nil || len(r.InUse.Lost) == 0)
}
