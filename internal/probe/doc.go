// Package probe finds out, with a few requests, what would prevent a copy.
//
// Files, in the order in which they use each other:
//
//	check.go   both sides, and the conclusion from their findings
//	gate.go    whether the gate admits the image
//	target.go  whether the target can be written to
//	source.go  whether the image and everything below it can be read
//	side.go    whether a registry can be reached, and a name read
package probe
