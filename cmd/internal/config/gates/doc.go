// Package gates has the gates of the configuration: what must hold for an image before it moves.
//
// The files, in the order of the walk:
//
//	read.go  reads the key gates
//	gate.go  Gate: one named gate
package gates
