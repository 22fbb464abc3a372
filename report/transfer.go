package report

import (
	"fmt"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// InUse says what becomes of the images that are in use somewhere.
type InUse struct {
	Images    int    `json:"images"`              // that are in use and at the sources' registries
	Elsewhere int    `json:"elsewhere,omitempty"` // in use, and at other registries: none of this run's business
	Lost      []Lost `json:"lost,omitempty"`      // of Images, those that are not brought
}

// Lost is an image that is in use, and that no step brings.
type Lost struct {
	Image ref.Name `json:"image"`
	Why   string   `json:"why"`
}

// said is how a Lost reads.
func (l Lost) String() string { return fmt.Sprintf("%s: %s", l.Image, l.Why) }

// Repository is what was done about one target repository, step by step.
type Repository struct {
	To    ref.Repo
	From  []ref.Repo // of which steps came
	Steps []Step
	Took  time.Duration // from the first look at its images to the last name
}

// Transfer adds up a transfer. It holds no list of steps: visit was told them.
type Transfer struct {
	Verb         string              `json:"verb"`
	Repositories int                 `json:"repositories"`       // target repositories that were looked at
	Actions      map[plan.Action]int `json:"actions"`            // planned steps by action
	States       map[State]int       `json:"states,omitempty"`   // steps by how they ended; empty for a plan
	Retagged     int                 `json:"retagged"`           // steps that move a name from one digest to another
	Locked       int                 `json:"locked,omitempty"`   // names on which something was, or is to be, locked
	Retags       []Retag             `json:"retags,omitempty"`   // those of them, up to MaxRetags
	Healed       int                 `json:"healed,omitempty"`   // steps that were right, and below which something was lacking; see TransferRequest.Heal
	Unproven     int                 `json:"unproven,omitempty"` // steps that were right, and whose content nobody is known to have proven
	Untagged     int                 `json:"untagged,omitempty"` // steps without a tag: content goes by digest
	InUse        *InUse              `json:"inUse,omitempty"`
	Blobs        oci.Blobs           `json:"blobs,omitzero"`  // of all images
	Traffic      map[string]Traffic  `json:"traffic"`         // by registry host, planning included
	Pulls        map[string]Pulls    `json:"pulls,omitempty"` // by registry host, of those that count them: docker.io
	Notes        []string            `json:"notes,omitempty"` // what a person should know
	Took         time.Duration       `json:"tookNanoseconds"`
	Err          error               `json:"-"` // of the first step that failed; the transfer went on after it
}

// MaxRetags is how many re-tagged names a TransferReport lists; all are counted, and all are among the steps.
const MaxRetags = 10_000

// Retag is a name that held something else.
type Retag struct {
	From  ref.Name `json:"from"`
	To    ref.Name `json:"to"`
	Was   string   `json:"was"`
	Is    string   `json:"is"`
	Kept  string   `json:"kept,omitempty"`  // the tag that keeps Was
	State State    `json:"state,omitempty"` // "" in a plan
}
