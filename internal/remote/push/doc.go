// Package push brings content into one repository: blobs by mounting or sending them,
// documents under their tags (distribution-spec v1.1.1 §Push).
//
// Files, in the order of the walk:
//
//	missing.go    what the repository lacks; proving what it has
//	commit.go     a document under its tags
//	put.go        a blob, in the cheapest way that is open
//	selfmount.go  whether it is there, by the request that begins its upload
//	resume.go     what an earlier process left of its upload
//	upload.go     sending it
//	session.go    the session of an upload, opened, held and ended
//	create.go     the place to push into, made where that is asked for
//	exists.go     questions about blobs
//	record.go     what the next process will need to know
//	pusher.go     Pusher, and the Dock where all puts of a process pass
//	lessons.go    what answers taught
//	inventory.go  what was seen of a repository's blobs
package push
