// Package probe finds out what stands in the way of a copy, with a few requests.
//
// Files, in the order in which they use each other:
//
//	check.go   both ends, and what their findings say together
//	target.go  may it be written
//	side.go    is it reached, may it be read
package probe
