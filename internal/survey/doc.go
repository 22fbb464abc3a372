// Package survey looks at both ends and makes plans of what it finds. It writes nothing.
//
// Files, in the order in which they use each other:
//
//	plan.go         import, copy, tag, batch: their steps
//	wants.go        many names, each for itself
//	landing.go      one target repository of a transfer, and what is to land there
//	incremental.go  what changed since all of it was there
//	untagged.go     what goes by digest
//	times.go        when images were made that no listing tells of
//	resolve.go      digests that no listing tells
//	backup.go       the names that keep what is overwritten
//	again.go        names of a plan that was read, looked at once more
//	locks.go        names that may not move
//	lists.go        many names, looked up in listings
//	tags.go         all tags of a repository
//	one.go          one name: a HEAD or a GET
//	nearest.go      the names that were meant
//	scope.go        what all of these know
package survey
