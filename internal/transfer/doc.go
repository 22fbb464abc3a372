// Package transfer moves one image from a source repository to target
// repositories. It knows digests and bytes; it knows no plans, no credentials,
// no command line and no server.
//
// copy.go is the walk; its four steps are discover, missing, move and commit. How a
// blob is read, through breaks and over several connections, is package fetch.
//
// Files, in the order of the walk:
//
//	copy.go      the walk, for each end
//	discover.go  read the documents under the root, validate them
//	missing.go   ask a target what it lacks
//	joint.go     one reading for ends at several registries
//	move.go      bring the blobs, the largest first, as there are places
//	commit.go    put the documents, children first, then the tags
//	proof.go     where a target is not believed: what it has is asked for and read back
//	put.go       one blob, put
//	engine.go    Engine, its bounds, and how fast
//	flights.go   what is being put just now goes once
//	each.go      many at once
//	task.go      Task, End, Outcome; the documents of an image
//	trust.go     how much a target is believed
//	ends.go      Source and Target
package transfer
