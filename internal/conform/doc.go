// Package conform is what every transfer.Source and transfer.Target of this
// module is held to, and a repository in memory for tests of what stands above
// them. Only tests import it; since it imports transfer, transfer's own tests
// that use it are in package transfer_test. In the order of the walk:
//
//	suite.go       all checks, run
//	blobs.go       checks of blobs
//	documents.go   checks of documents, tags and referrers
//	together.go    checks of many at once
//	wants.go       what checks put, and hold answers against
//	pair.go        what is checked, and one check
//	memory.go      a repository in memory
package conform
