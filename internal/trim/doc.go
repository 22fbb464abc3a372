// Package trim finds out what of an image is copied if only some platforms of it are. It writes nothing.
//
// Files, in the order in which they use each other:
//
//	trimmer.go   what of many images is copied, with the fewest requests
//	behind.go    digest tags of what is not copied
//	recall.go    what earlier runs found out
//	count.go     what to say about a plan of parts
//	sparse.go    whether a target has the images of a sparse index
//	document.go  the document that a target gets
//	part.go      which part of one document is for the platforms
//	nested.go    the platforms of an index in an index
package trim
