package dray

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// The types of the answers. Package report declares them and says more about each.
type (
	// Report is the answer of [Dray.Apply].
	Report = report.Report
	// StepReport is one step in a [Report] or a [RepositoryReport].
	StepReport = report.Step
	// State says how a step ended.
	State = report.State
	// Traffic is what was exchanged with a registry.
	Traffic = report.Traffic
	// Pulls says how much of a pull limit was used.
	Pulls = report.Pulls
	// TransferReport is the answer of [Dray.Transfer], [Dray.PlanTransfer] and [Dray.ApplyFile].
	TransferReport = report.Transfer

	// Bundle is the answer of [Dray.VerifyBundle]; [Dray.CreateBundle] and [Dray.LoadBundle] return it within
	// a TransferReport.
	Bundle = report.Bundle

	// Have is the answer of [Dray.HaveList].
	Have = report.Have
	// Part is a part of a divided transfer or verification.
	Part = report.Part
	// RepositoryReport says what was done for one target repository.
	RepositoryReport = report.Repository
	// ReferrerReport says what became of the signatures and other documents that refer to images.
	ReferrerReport = report.Referrers
	// LostReferrer is a referrer that a target refused.
	LostReferrer = report.LostReferrer
	// Retag is a target name that held other content before.
	Retag = report.Retag
	// InUseReport says what a transfer does with images in use.
	InUseReport = report.InUse
	// Lost is an image in use that is not copied.
	Lost = report.Lost
	// Estimate is the answer of [Dray.Estimate].
	Estimate = report.Estimate
	// RegistryEstimate is the part of an [Estimate] for one registry.
	RegistryEstimate = report.RegistryEstimate
	// Receipt is the answer of [Dray.Verify].
	Receipt = report.Receipt
	// VerifyEntry is one name that [Dray.Verify] compared.
	VerifyEntry = report.Comparison
	// Match says how a name compares with its source.
	Match = report.Match
	// Lack is content that is missing or corrupt at a target.
	Lack = report.Lack
	// Looked says what [Dray.Verify] checked at the targets.
	Looked = report.Looked
	// Depth says how much [Dray.Verify] checks.
	Depth = report.Depth
	// CheckReport is the answer of [Dray.Check].
	CheckReport = report.Check
	// SideReport is the part of a [CheckReport] for one end.
	SideReport = report.Side
	// Finding is one thing that [Dray.Check] checked.
	Finding = report.Finding
	// Severity says what a [Finding] means for a copy.
	Severity = report.Severity
	// Image is the answer of [Dray.Inspect].
	Image = report.Image
	// Variant is one platform of an [Image].
	Variant = report.Variant
	// Tree is the answer of [Dray.Tree].
	Tree = report.Tree
	// Node is one document of a [Tree].
	Node = report.Node
	// Entry is one line of [Dray.List] and [Dray.ListTags].
	Entry = report.Entry
	// ManifestEntry is one line of [Dray.ListManifests].
	ManifestEntry = report.Manifest
	// Removal is the answer of [Dray.PlanRemove].
	Removal = report.Removal
	// RemoveWhat says what a [RemoveRequest] removes.
	RemoveWhat = report.RemoveWhat
)

// Types of packages plan and oci that the requests use.
type (
	// RepositoryPlan is the plan for one target repository.
	RepositoryPlan = plan.Repository
	// BatchEntry is one entry of a [BatchRequest].
	BatchEntry = plan.Entry
	// Tags says which tags a [CopyRequest] copies.
	Tags = plan.Tags
	// Proof says how dray makes sure that a target has a blob.
	Proof = oci.Proof
)

// The States of a step: how it ended.
const (
	Done        = report.Done
	Unchanged   = report.Unchanged
	Failed      = report.Failed
	NotFinished = report.NotFinished
	NotStarted  = report.NotStarted
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
