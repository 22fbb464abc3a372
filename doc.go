// Package dray imports, copies and re-tags container images and other OCI
// artifacts between registries, byte for byte, without Docker.
//
// Every verb is a plan: PlanImport, PlanCopy, PlanTag and PlanBatch look at both ends
// and return a plan that is Prepared; Apply carries it out. Nothing is written before Apply. A plan
// can be printed, written to a file, read back and applied later: it moves
// exactly the digests that it names, or refuses. Whole registries are planned and
// transferred as streams, by PlanTransfer and Transfer; ApplyFile carries out a plan
// while it is read.
//
// The package prints nothing and logs nothing. What happens is told to an
// event.Observer; what went wrong is a *fault.Fault, whose Kind says what a
// caller can do about it.
//
// Files, in the order in which they use each other; each verb has one, with its request and
// its call, and what it does is in a package of its own below internal:
//
//	import.go    one source image under names in one registry, as az acr import does
//	copy.go      one image, or all tags of a repository
//	tag.go       further tags on an image
//	batch.go     a list of images
//	verify.go    is it all there
//	transfer.go  whole registries
//	check.go     will it work
//	look.go      what is there
//	remove.go    take an image away
//	plan.go      plans: applied, written, read, estimated
//	dray.go      Config, New, Close
//	report.go    the answers, by their names in package report
package dray
