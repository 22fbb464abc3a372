// Package transfer copies one image from a source repository to target repositories.
//
// It works on digests and bytes only. It has no notion of plans, credentials, the command
// line or the server.
//
// The entry point is Engine.Copy in copy.go. A copy has four steps: discover, missing, move
// and commit. The package fetch reads the blobs: it resumes broken downloads and reads large
// blobs over several connections.
//
// Files, in the order of the walk:
//
//	copy.go      the four steps of a copy, for each End
//	discover.go  reads the documents under the root and validates them
//	missing.go   asks a target which blobs it lacks
//	joint.go     reads each blob once for Ends at several registries
//	move.go      copies the blobs, the largest first, as places become free
//	commit.go    puts the documents, children first, then the tags
//	proof.go     verifies a target that is not trusted: asks for its blobs and reads them back
//	put.go       puts one blob
//	engine.go    Engine, its limits, and the bandwidth limit
//	flights.go   tracks the uploads in progress, so that no content is put twice
//	each.go      runs a function for many items at once
//	task.go      Task, End, Outcome, and the documents of an image
//	documents.go keeps the documents that a run has read, so that each is read once
//	trust.go     how far a target is trusted
//	ends.go      Source and Target
package transfer
