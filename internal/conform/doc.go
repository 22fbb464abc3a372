// Package conform has the checks that every transfer.Source and transfer.Target of this module must
// pass, and a repository in memory for tests of the packages above them. Only tests import it. It
// imports transfer, so transfer's own tests that use it are in package transfer_test. In the order
// of the walk:
//
//	suite.go       runs all checks
//	blobs.go       checks of blobs
//	documents.go   checks of documents, tags and referrers
//	together.go    checks of concurrent calls and cancellation
//	wants.go       content that the checks put, and assertions
//	pair.go        the types of a repository under test and of a check
//	memory.go      a repository in memory
package conform
