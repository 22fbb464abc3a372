// Package hollow has registries that hold nothing: one hashes what is pushed and forgets it, one
// makes up what is pulled. In the order of the walk:
//
//	sink.go     hashes uploads and forgets them
//	sparse.go   an image with a layer of any size
package hollow
