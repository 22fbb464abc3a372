// Package plan decides what a transfer will do. It reads nothing and writes
// nothing: Make is a function of two inventories and some rules, and its
// result is a value that can be printed, saved, reviewed and applied later.
//
// Files, in the order of the walk:
//
//	file.go       a plan as a file, whole or step by step
//	backup.go     what is kept before it is overwritten
//	merge.go      two listings, compared as they are read
//	entry.go      what a batch or a copy asks for
//	mapping.go    where each repository of a source goes
//	tagmap.go     which tags go by which other name
//	selection.go  which repositories and tags are meant
//	inuse.go      which images run
//	explain.go    how a selection came about
//	version.go    ranges of versions
//	letters.go    by the first letter
//	pattern.go    globs and expressions
//	python.go     expressions as Python reads them
//	text.go       expressions when they are first used; long texts in errors
//	plan.go       Inventory, Rules, Plan, Step; Make
package plan
