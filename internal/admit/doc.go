// Package admit asks the gate of a run about the images that its steps would move.
//
// Files, in the order of the walk:
//
//	admit.go     the steps of a plan, and what the gate says about each
//	door.go      asks the gate about one image, and reads of the image what the gate wants to know
//	attached.go  the tags that belong to another image
package admit
