// Package event is what a running transfer tells whoever watches it.
//
// Files, in the order of the walk:
//
//	event.go  Event, Observer
package event
