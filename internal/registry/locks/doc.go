// Package locks keeps what may not be done with a repository, its tags and its manifests. It stores this beside the
// content, and decides what it means for pulls, pushes, deletions and lists. The words are those of Azure's registries.
//
// The files, in the order of the walk:
//
//	spared.go   what a locked thing needs
//	book.go     where locks are stored
//	locks.go    what locks are and what they forbid
package locks
