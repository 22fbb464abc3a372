// Package tend knows what interrupted requests leave in the storage of a registry, and who has left it: uploads that
// nobody has finished, tags whose link was never written, and parts of objects in a bucket.
//
// Files, in the order of the walk:
//
//	keeper.go   removes all of them
//	book.go     who has how many unfinished uploads, and may have more
//	uploads.go  finds unfinished uploads, and removes them
//	orphans.go  finds parts of objects that belong to no upload
//	tags.go     finds tags that lead nowhere
//	walk.go     finds the repositories
package tend
