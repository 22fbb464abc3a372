package dray

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// The types of the answers. Package report declares them and says more about each.
type (
	Report           = report.Report           // answer of Dray.Apply
	StepReport       = report.Step             // one step in a Report or a RepositoryReport
	State            = report.State            // how a step ended
	Traffic          = report.Traffic          // what was exchanged with a registry
	Pulls            = report.Pulls            // how much of a pull limit was used
	TransferReport   = report.Transfer         // answer of Dray.Transfer, Dray.PlanTransfer and Dray.ApplyFile
	RepositoryReport = report.Repository       // what was done for one target repository
	Retag            = report.Retag            // a target name that held other content before
	InUseReport      = report.InUse            // what a transfer does with images in use
	Lost             = report.Lost             // an image in use that is not copied
	Estimate         = report.Estimate         // answer of Dray.Estimate
	RegistryEstimate = report.RegistryEstimate // the part of an Estimate for one registry
	Receipt          = report.Receipt          // answer of Dray.Verify
	VerifyEntry      = report.Comparison       // one name that Dray.Verify compared
	Match            = report.Match            // how a name compares with its source
	Lack             = report.Lack             // content that is missing or corrupt at a target
	Looked           = report.Looked           // what Dray.Verify checked at the targets
	Depth            = report.Depth            // how much Dray.Verify checks
	CheckReport      = report.Check            // answer of Dray.Check
	SideReport       = report.Side             // the part of a CheckReport for one end
	Finding          = report.Finding          // one thing that Dray.Check checked
	Severity         = report.Severity         // what a Finding means for a copy
	Image            = report.Image            // answer of Dray.Inspect
	Variant          = report.Variant          // one platform of an Image
	Entry            = report.Entry            // one line of Dray.List and Dray.ListTags
	ManifestEntry    = report.Manifest         // one line of Dray.ListManifests
	Removal          = report.Removal          // answer of Dray.PlanRemove
	RemoveWhat       = report.RemoveWhat       // what a RemoveRequest removes
)

// Types of packages plan and oci that the requests use.
type (
	RepositoryPlan = plan.Repository // the plan for one target repository
	BatchEntry     = plan.Entry      // one entry of a BatchRequest
	Tags           = plan.Tags       // which tags a CopyRequest copies
	Proof          = oci.Proof       // how dray makes sure that a target has a blob
)

// The States of a step: how it ended.
const (
	Done       = report.Done
	Unchanged  = report.Unchanged
	Failed     = report.Failed
	NotStarted = report.NotStarted
)

// The Depths of a VerifyRequest: how much of a target Dray.Verify checks.
const (
	Digests = report.Digests
	Deep    = report.Deep
	Rehash  = report.Rehash
)

// The Matches of a VerifyEntry: how a name at a target compares with its source.
const (
	Same       = report.Same
	Differs    = report.Differs
	Absent     = report.Absent
	Incomplete = report.Incomplete
	Corrupted  = report.Corrupted
	Unproven   = report.Unproven
)

// The Severities of a Finding: what it means for a copy.
const (
	OK      = report.OK
	Warn    = report.Warn
	Fail    = report.Fail
	Unknown = report.Unknown
)

// What a RemoveRequest removes.
const (
	RemoveTag      = report.RemoveTag
	RemoveManifest = report.RemoveManifest
)

// The Tags of a CopyRequest: which tags of the source it copies.
const (
	NamedTag = plan.NamedTag
	AllTags  = plan.AllTags
	Sharing  = plan.Sharing
)

// The Proofs of a request: how dray makes sure that a target has a blob.
const (
	Claimed = oci.Claimed
	Sized   = oci.Sized
	Hashed  = oci.Hashed
)

// Limits of the answers, and the default of an EstimateRequest.
const (
	MaxRetags   = report.MaxRetags   // retagged names in a TransferReport
	MaxTroubles = report.MaxTroubles // names in a Receipt
	DefaultRate = report.DefaultRate // network speed in bytes per second that Dray.Estimate assumes
)
