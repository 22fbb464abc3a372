// Package landing plans one target repository of a transfer, with all of its sources.
//
// Files, in the order in which they use each other:
//
//	ranges.go       the steps of a landing, range by range
//	landing.go      looks at the sources and the target of a landing
//	incremental.go  what changed in a source since a transfer copied all of it
//	untagged.go     manifests that are copied by digest, without a tag
//	times.go        creation times of images, if the listing has none
//	resolve.go      digests of tags, if the listing has none
//	scope.go        the types that all of these files share
package landing
