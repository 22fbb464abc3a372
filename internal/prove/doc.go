// Package prove looks below names at a target: at manifests, configs, layers and referrers, and
// sends what is lacking there.
//
// Files, in the order in which they use each other:
//
//	prove.go   look below the names of one repository
//	heal.go    send what is lacking, and look again
//	deep.go    the look: documents level by level, then blobs
//	entry.go   a step, read as a comparison
//	prover.go  what all of these know
package prove
