// Package yard is for tests: two real registries, and a Dray that knows them.
//
// Files, in the order in which they use each other:
//
//	azure.go   a source like Azure's
//	disk.go    a target whose files can be spoiled
//	heap.go    how much memory it takes
//	size.go    how large the largest tests are
//	race.go    the race detector looks on
//	norace.go  it does not
//	yard.go    the yard, and what is done in it
package yard
