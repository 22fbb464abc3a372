// Package yard is for tests: it has two real registries, and a Dray configured for them.
//
// Files, in the order in which they use each other:
//
//	azure.go   a source with Azure's API
//	disk.go    a target whose files can be damaged
//	heap.go    how much memory is in use
//	size.go    how large the largest tests are
//	race.go    underRace, with the race detector
//	norace.go  underRace, without it
//	yard.go    the yard, and what tests do with it
package yard
