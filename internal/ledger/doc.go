// Package ledger keeps small facts between runs, in files under one directory
// that only their owner may read. What it holds is never needed for a right
// outcome, only for a cheap one: a file that is missing, damaged, of a newer
// version or under another key counts as absent.
//
// Files, in the order of the walk:
//
//	proofs.go       which images were proven to be whole
//	times.go        when images were made
//	marks.go        up to when a repository was read
//	whereabouts.go  where blobs were seen
//	trail.go        repositories that are being filled
//	notes.go        short lines about each repository
//	file.go         files that may be damaged
//	claim.go        an upload made one's own
//	upload.go       what the next process needs to go on with an upload
//	seal.go         the seal of its records
//	ledger.go       Uploads, and whose they are
//	fault.go        what an error of the disk means
package ledger
