// Package shelf shows a bundle as a registry that verbs read from while it is loaded.
//
// Files, in the order of the walk:
//
//	shelf.go  Shelf
package shelf
