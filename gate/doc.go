// Package gate has the interface of a gate: it decides whether an image may move before anything of it does.
//
// Files, in the order of the walk:
//
//	gate.go    Gate, and the refusal that it returns
//	facts.go   the platforms, the size and the creation time of an image
//	image.go   Image: what a gate is asked about, and what it can read
//	source.go  reads documents and small blobs of the source
package gate
