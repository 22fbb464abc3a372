package dray

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// What is answered is declared in package report, which links nothing.
type (
	Report           = report.Report           // of Apply
	StepReport       = report.Step             // of one step
	State            = report.State            // how a step ended
	Traffic          = report.Traffic          // what was exchanged with a registry
	Pulls            = report.Pulls            // what was spent of a pull limit
	TransferReport   = report.Transfer         // of Transfer, PlanTransfer and ApplyFile
	RepositoryReport = report.Repository       // of one target repository
	Retag            = report.Retag            // a name that held something else
	InUseReport      = report.InUse            // what became of the images that run
	Lost             = report.Lost             // an image that runs and is not brought
	Estimate         = report.Estimate         // of Dray.Estimate
	RegistryEstimate = report.RegistryEstimate // what one registry would be asked for
	Receipt          = report.Receipt          // of Verify
	VerifyEntry      = report.Comparison       // of one name
	Match            = report.Match            // how a name compares
	Lack             = report.Lack             // content that a target should have
	Looked           = report.Looked           // what was looked at in targets
	Depth            = report.Depth            // how much of a target is looked at
	CheckReport      = report.Check            // of Check
	SideReport       = report.Side             // of one end
	Finding          = report.Finding          // one thing that was looked at
	Severity         = report.Severity         // how a finding looks
	Image            = report.Image            // of Inspect
	Variant          = report.Variant          // of one platform
	Entry            = report.Entry            // of List and ListTags
	ManifestEntry    = report.Manifest         // of ListManifests
	Removal          = report.Removal          // of PlanRemove
	RemoveWhat       = report.RemoveWhat       // what a removal takes away
)

// What is asked for, in the words of packages plan and oci.
type (
	RepositoryPlan = plan.Repository // what is to be done about one target repository
	BatchEntry     = plan.Entry      // one line of a list
	Tags           = plan.Tags       // which tags of a repository a CopyRequest means
	Proof          = oci.Proof       // how much of what is known of a target is believed
)

// How a step ended.
const (
	Done       = report.Done
	Unchanged  = report.Unchanged
	Failed     = report.Failed
	NotStarted = report.NotStarted
)

// How much of a target Verify looks at.
const (
	Digests = report.Digests
	Deep    = report.Deep
	Rehash  = report.Rehash
)

// How a target's name compares with its source.
const (
	Same       = report.Same
	Differs    = report.Differs
	Absent     = report.Absent
	Incomplete = report.Incomplete
	Corrupted  = report.Corrupted
	Unproven   = report.Unproven
)

// How a finding looks.
const (
	OK      = report.OK
	Warn    = report.Warn
	Fail    = report.Fail
	Unknown = report.Unknown
)

// What a RemoveRequest takes away.
const (
	RemoveTag      = report.RemoveTag
	RemoveManifest = report.RemoveManifest
)

// Which tags of a repository a CopyRequest means.
const (
	NamedTag = plan.NamedTag
	AllTags  = plan.AllTags
	Sharing  = plan.Sharing
)

// How much of what is known of a target is believed while content is brought there.
const (
	Claimed = oci.Claimed
	Sized   = oci.Sized
	Hashed  = oci.Hashed
)

// Bounds of what reports hold.
const (
	MaxRetags   = report.MaxRetags   // re-tagged names in a TransferReport
	MaxTroubles = report.MaxTroubles // entries in a Receipt
	DefaultRate = report.DefaultRate // bytes per second that Estimate takes a link to carry
)
