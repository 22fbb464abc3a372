// Package report declares the answers of package dray: what a copy did, what a transfer adds up to,
// what a check or a verification found, and what a registry holds.
//
// A program receives these values from the methods of package dray and prints or stores them. Package
// dray has an alias for each of these types: dray.Report is [Report], dray.StepReport is [Step].
//
//	rep, err := d.Apply(ctx, p, nil)
//	for _, s := range rep.Steps {
//		fmt.Println(s.To, s.State) // "prod.example/app:v1 done"
//	}
//	if err != nil {
//		return err // the same as rep.Err(): the first step that failed
//	}
//
// The package has no behavior beyond that of its values: it makes no requests and imports neither
// package os nor package net.
//
// # Compatibility
//
// The JSON form of these types is what every dray command prints with --output json. It is stable: a
// later version may add a field, but a field keeps its name and its meaning.
//
// # Files
//
// In the order in which they use each other:
//
//	part.go      a part of a transfer or of a verification
//	add.go       the sum of several reports
//	look.go      images, tags and manifests; what a removal removes
//	check.go     a check: what would block a copy
//	estimate.go  what a plan would cost
//	verify.go    a verification: how each name compares, and the receipt
//	transfer.go  the totals of a transfer
//	bundle.go    what a bundle has
//	attached.go  which steps are of digest tags
//	report.go    one plan that was applied, step by step
//	referrers.go what became of what refers to images
//	pulls.go     pull limits
package report
