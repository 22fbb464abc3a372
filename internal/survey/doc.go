// Package survey looks at the source and the target, and makes plans from what it finds. It writes
// nothing.
//
// Files, in the order in which they use each other:
//
//	plan.go         the steps of import, copy, tag and batch
//	wants.go        plans of many names, each planned independently of the others
//	backup.go       the tags that keep what is overwritten
//	recheck.go      the names of a plan file, looked up once more before it is applied
//	lists.go        many names, looked up in listings
//	tags.go         all tags of a repository
//	lookup.go       one name, looked up with a HEAD or a GET request
//	scope.go        the types that all of these files share
package survey
