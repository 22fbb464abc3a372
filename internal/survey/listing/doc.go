// Package listing keeps the tags of one repository in few bytes: some 50 for each tag with its digest. A repository may
// have hundreds of thousands of them, and what a survey needs of both sides is in memory at the same time. Plans are
// made of ranges of them.
//
// Files, in the order in which they use each other:
//
//	cuts.go     the ranges in which the steps of a landing are made
//	wants.go    which tag of a source each tag of a target gets
//	listing.go  the tags of one repository, in the order of names
//	chunk.go    how a thousand tags are kept
package listing
