package report

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// InUse says what a transfer does with the images that are in use somewhere.
type InUse struct {
	Images    int    `json:"images"`              // images in use that are at the registries of the sources
	Elsewhere int    `json:"elsewhere,omitempty"` // images in use at other registries; the transfer ignores them
	Lost      []Lost `json:"lost,omitempty"`      // the Images that the transfer does not copy
}

// Lost is an image that is in use but that no step copies.
type Lost struct {
	Image ref.Name `json:"image"`
	Why   string   `json:"why"`
}

// String returns "IMAGE: WHY".
func (l Lost) String() string { return fmt.Sprintf("%s: %s", l.Image, l.Why) }

// Repository is what was done for one target repository, step by step.
type Repository struct {
	To    ref.Repo
	From  []ref.Repo // the source repositories of the steps
	Steps []Step
	Took  time.Duration // from the first request for its images until the last name was set
	Part  int           // the number of this part, from 1, if To has more steps than are done at a time; else 0
	More  bool          // another part follows
}

// Tags is the function Tags for the steps of one repository. If they are a part of them, the others have images.
func (r Repository) Tags() func(Step) bool {
	if r.Part > 0 {
		return func(s Step) bool { return !s.Attached() }
	}
	return Tags(r.Steps)
}

// Transfer holds the totals of a transfer. It does not list the steps; the visit function of the
// transfer receives them.
type Transfer struct {
	Verb         string              `json:"verb"`
	Repositories int                 `json:"repositories"`     // target repositories that were looked at
	Actions      map[plan.Action]int `json:"actions"`          // planned steps by action
	States       map[State]int       `json:"states,omitempty"` // steps by how they ended; empty for a plan
	Retagged     int                 `json:"retagged"`         // steps that move a name from one digest to another
	Locked       int                 `json:"locked,omitempty"` // names that were locked, or that the plan locks
	Retags       []Retag             `json:"retags,omitempty"` // the retagged names, at most MaxRetags
	// Healed counts steps whose name was up to date and whose missing content was sent; see
	// TransferRequest.Heal.
	Healed int `json:"healed,omitempty"`
	// Unproven counts steps whose name was up to date and whose content was never verified, as far as
	// dray knows. It notes nothing about ends on disk, so their steps do not count.
	Unproven int        `json:"unproven,omitempty"`
	Untagged int        `json:"untagged,omitempty"`    // steps without a tag, which copy content by digest
	Empty    []ref.Name `json:"withoutTags,omitempty"` // repositories that the sources list and that have no tags
	// Skipped are tags that the sources list and whose manifest does not exist; see
	// TransferRequest.SkipBroken.
	Skipped   []ref.Name         `json:"skipped,omitempty"`
	InUse     *InUse             `json:"inUse,omitempty"`    // nil unless the request names images in use
	Blobs     oci.Blobs          `json:"blobs,omitzero"`     // of all images
	Referrers Referrers          `json:"referrers,omitzero"` // of all images
	Traffic   map[string]Traffic `json:"traffic"`            // by registry host, including the planning
	// Pulls is by registry host, for registries that count pulls: docker.io.
	Pulls map[string]Pulls `json:"pulls,omitempty"`
	Notes []string         `json:"notes,omitempty"` // what a person should know
	Took  time.Duration    `json:"tookNanoseconds"`
	// Bundle is what Dray.CreateBundle wrote, or what Dray.LoadBundle read.
	Bundle *Bundle `json:"bundle,omitempty"`
	// Pending is what only the sum of all parts can tell, for Dray.SumTransfer. nil unless the transfer is divided.
	Pending json.RawMessage `json:"pending,omitempty"`
	// Err is the error of the first step that failed; the transfer continued after it.
	Err error `json:"-"`
}

// MaxRetags is how many retagged names a [Transfer] lists. It counts all of them, and all are among the
// steps.
const MaxRetags = 10_000

// Retag is a target name that held other content before.
type Retag struct {
	From  ref.Name `json:"from"`
	To    ref.Name `json:"to"`
	Was   string   `json:"was"`             // the digest that To pointed to
	Is    string   `json:"is"`              // the digest that To points to after the step
	Kept  string   `json:"kept,omitempty"`  // the backup tag that keeps Was; "" if there is none
	State State    `json:"state,omitempty"` // how the step ended; "" in a plan
}
