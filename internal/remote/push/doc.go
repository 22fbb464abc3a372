// Package push puts content into one repository. It mounts or uploads blobs, and stores documents
// under their tags (distribution-spec v1.1.1 §Push).
//
// Files, in the order of the walk:
//
//	missing.go    which blobs the repository lacks; verifying those it has
//	commit.go     storing a document under its tags
//	put.go        putting a blob, in the cheapest way that is possible
//	selfmount.go  whether the blob exists, by the request that begins its upload
//	resume.go     resuming the upload that an earlier process left
//	upload.go     uploading a blob
//	refused.go    what a refusal of bytes means, and in which other way they are sent
//	session.go    the upload session: opening, moving, querying and canceling it
//	create.go     creating the repository or project, if the configuration asks for it
//	exists.go     requests that ask whether blobs exist
//	record.go     recording what a later process needs to know
//	pusher.go     Pusher, and Dock, which coordinates all puts of a process
//	lessons.go    what answers taught
//	inventory.go  what is known about a repository's blobs
package push
