// Package prove checks the content below names at a target: manifests, configs, layers and
// referrers. It can send what is missing there.
//
// Files, in the order in which they use each other:
//
//	prove.go   checks the content below the names of one repository
//	heal.go    sends what is missing, and checks again
//	deep.go    the check: documents level by level, then blobs
//	entry.go   a step converted to a comparison
//	prover.go  the types that all of these files share
package prove
