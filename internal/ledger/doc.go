// Package ledger stores small facts between runs, in files under one directory that only their
// owner may read. dray does not need these facts for a correct result. They make the next run cheaper, and without
// them it keeps what it could replace. A file that is missing, damaged, of a newer version or encrypted with
// another key counts as absent. A directory or file that somebody else owns or may write is refused, with the command
// that mends it: see package ours.
//
// Files, in the order of the walk:
//
//	refusals.go     which referrers a target refused
//	carried.go      which digest tags a target has as a source had them
//	times.go        when images were created
//	trims.go        what images become if only some platforms of them are copied, and sparse indexes
//	proofs.go       which images were proven to be complete
//	marks.go        up to which time a source repository was copied, and imports by a cloud that have not ended
//	whereabouts.go  in which repositories blobs were seen
//	trail.go        repositories that have content but no tag yet
//	notes.go        short lines about each repository
//	file.go         reads and replaces files that may be damaged
//	claim.go        makes one process the owner of an upload
//	upload.go       stores what the next process needs to resume an upload
//	seal.go         encrypts and authenticates the records of an upload
//	ledger.go       Uploads, the directories of the files, and who owns an upload
//	fault.go        converts errors of the disk
package ledger
