// Package report declares what dray answers. It is a leaf: it does nothing, and its JSON is
// what every command prints with --output json.
//
// Files, in the order in which they use each other:
//
//	look.go      images, tags, manifests; what a removal takes
//	check.go     of a check: what is in the way
//	estimate.go  what a plan would cost
//	verify.go    of a verification: how each name compares, and the receipt
//	transfer.go  of a transfer, added up
//	report.go    of one plan that was applied, step by step
//	pulls.go     pull limits
package report
