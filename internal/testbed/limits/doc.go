// Package limits has tests only: they run dray and drayd, as they are released, where something is short: memory,
// descriptors, processors, space. docs/limits.md lists them, and make limits runs them and prints what they measured.
//
// Files, in the order of the walk:
//
//	doc.go  what this package is for
package limits
