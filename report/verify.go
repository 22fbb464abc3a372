package report

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Depth says how much of a target a verification checks:
//
//   - [Digests]: the digests that names point to.
//   - [Deep]: also the presence and size of all content.
//   - [Rehash]: also the bytes of all content.
type Depth string

const (
	// Digests compares what names point to. It needs one line of a listing or one HEAD for each name
	// and side. It assumes that the content of a target's tags is complete.
	Digests Depth = "digests"

	// Deep also reads each manifest at the target, and asks the target for each config and layer with
	// its size, and for each referrer that the source has.
	Deep Depth = "deep"

	// Rehash does what Deep does, and also reads the configs and layers at the target.
	Rehash Depth = "rehash"
)

// Match says how a name at the target compares with its source.
//
// The name is correct:
//   - [Same]: no difference was found.
//   - [Incomplete]: content is missing.
//   - [Corrupted]: content has other bytes.
//
// The name is not correct:
//   - [Differs]: it points to other content.
//   - [Absent]: it does not exist.
//
// Or it is not known:
//   - [Unproven]: the comparison failed.
type Match string

const (
	// Same means that no difference was found, at the [Depth] that was checked.
	Same Match = "same"

	// Differs means that the name points to other content.
	Differs Match = "differs"

	// Absent means that the name does not exist at the target.
	Absent Match = "missing"

	// Incomplete means that the name has the correct digest, but some of its content is missing.
	Incomplete Match = "incomplete"

	// Corrupted means that the name has the correct digest, but some of its content has other bytes.
	Corrupted Match = "corrupt"

	// Unproven means that the name could not be compared; see [Comparison.Err].
	Unproven Match = "unknown"
)

// Comparison is one name and how it compares with its source.
type Comparison struct {
	From   ref.Name   `json:"from"`
	To     ref.Name   `json:"to"`
	Match  Match      `json:"match"`
	Source oci.Digest `json:"source,omitempty"` // what From points to, or becomes if it is trimmed
	Target oci.Digest `json:"target,omitempty"` // what To points to
	Origin oci.Digest `json:"origin,omitempty"` // what From points to, if only some platforms count
	Trim   plan.Trim  `json:"trim,omitzero"`    // which platforms count; the zero value means all
	Lacks  []Lack     `json:"lacks,omitempty"`  // content that is missing or corrupt; after a repair, what still is
	Healed bool       `json:"healed,omitempty"` // it was repaired, and is the Same now
	Err    error      `json:"-"`                // why it could not be compared or repaired
}

// Lack is content that a target should have, and that is "missing" or "corrupt" there. A referrer may also be
// "unlisted": the target does not list it; or "untagged": its digest tag does not point to it.
type Lack struct {
	What   string     `json:"what"` // "manifest", "child", "config", "layer", "referrer"
	Digest oci.Digest `json:"digest"`
	Size   int64      `json:"size"`
	Why    string     `json:"why"` // see the Lack
}

// MarshalJSON returns the comparison as JSON. If Err is set, it adds the error as a [plan.Problem].
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

// UnmarshalJSON reads the form that [Comparison.MarshalJSON] returns. An error gets its Kind and its
// text back.
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

// Receipt is the answer of Dray.Verify: what it found, for the record.
type Receipt struct {
	Format       int           `json:"format"`         // version of this form: 1
	Tool         string        `json:"tool,omitempty"` // the program that verified, with its version
	By           string        `json:"by,omitempty"`   // the person or account that asked for it
	When         time.Time     `json:"when"`
	Sources      []string      `json:"sources"`
	Target       string        `json:"target"`
	Depth        Depth         `json:"depth"`
	Sample       int           `json:"sample,omitempty"` // how many of 100 blobs were read; 0 means all
	Repositories int           `json:"repositories"`     // target repositories
	Names        int           `json:"names"`            // names that were compared
	Matches      map[Match]int `json:"matches"`          // names by how they compare
	// Platforms are those that were compared, as oci.ParsePlatforms reads them; "" means all.
	Platforms string `json:"platforms,omitempty"`

	// Extra counts tags that only the targets have. They are not counted as troubles.
	Extra int        `json:"extra"`
	Empty []ref.Name `json:"withoutTags,omitempty"` // repositories that the sources list and that have no tags
	// Skipped are tags that the sources list and whose manifest does not exist; see
	// TransferRequest.SkipBroken.
	Skipped []ref.Name `json:"skipped,omitempty"`
	InUse   *InUse     `json:"inUse,omitempty"` // nil unless the request names images in use
	// Healed counts names that were repaired. They are counted as Same too.
	Healed int    `json:"healed,omitempty"`
	Looked Looked `json:"looked"` // what was checked at the targets
	// Digest is that of a line "REPOSITORY DIGEST\n" for each target repository, sorted. There, DIGEST is that of a line
	// "NAME SOURCE MATCH\n" for each of its names, in order. "" in the receipt of a part.
	Digest oci.Digest `json:"digest"`
	// Troubles are the names that are not the Same, at most MaxTroubles.
	Troubles []Comparison       `json:"troubles,omitempty"`
	Traffic  map[string]Traffic `json:"traffic"`         // by registry host
	Pulls    map[string]Pulls   `json:"pulls,omitempty"` // by registry host, for registries that count pulls
	Notes    []string           `json:"notes,omitempty"` // what a person should know
	Took     time.Duration      `json:"tookNanoseconds"`

	// Pending is what only the sum of all parts can tell, for Dray.SumVerify. nil unless the verification is divided.
	Pending json.RawMessage `json:"pending,omitempty"`
}

// Looked counts what was checked at the targets. Content counts once for each repository.
type Looked struct {
	Documents int   `json:"documents"` // manifests and indexes that were read
	Blobs     int   `json:"blobs"`     // configs and layers that the target was asked for
	Read      int   `json:"read"`      // the Blobs that were also read
	Bytes     int64 `json:"bytes"`     // bytes of the Blobs that were read
}

// MaxTroubles is how many names a [Receipt] lists. The visit function of the verification receives all
// of them.
const MaxTroubles = 10_000

// Right reports whether all names that were compared are the [Same], and no image that is in use is
// lost.
func (r Receipt) Right() bool {
	return r.Names == r.Matches[Same] && (r.InUse == nil || len(r.InUse.Lost) == 0)
}
