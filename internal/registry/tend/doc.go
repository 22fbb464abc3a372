// Package tend knows what interrupted requests leave in the storage of a registry, and who has left it: uploads that
// nobody has finished, and tags whose link was never written.
//
// Files, in the order of the walk:
//
//	keeper.go   removes both
//	book.go     who has how many unfinished uploads, and may have more
//	uploads.go  finds unfinished uploads, and removes them
//	tags.go     finds tags that lead nowhere
//	walk.go     finds the repositories
package tend
