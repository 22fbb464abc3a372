// Package stock lists what a receiver of bundles has: its names, what refers to them, and all blobs below them. The
// sender of the next bundle leaves that out. Package have writes and reads the list.
//
// Files, in the order of the walk:
//
//	stock.go  walks through the repositories of a receiver
package stock
