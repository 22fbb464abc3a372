// Package subject makes a document findable by its subject at a registry that does not do so itself:
// one without the referrers API (distribution-spec v1.1.1 §Referrers Tag Schema).
//
// Such a registry has a tag for each subject, which points to an index of all that refers to it.
// Anybody may change that index at any time, and a registry has no way to do it in one step. So it is
// read, changed, put and read back, until nobody has put another one in between.
//
// Files, in the order of the walk:
//
//	keeper.go  adding a document to the list of its subject
//	desk.go    those of one process that want to change the same list
//	list.go    the list as bytes
package subject
