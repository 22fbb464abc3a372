// Package hollow provides registries that store no content. One hashes what is pushed and discards
// it, the other generates what is pulled. In the order of the walk:
//
//	sink.go     hashes uploads and discards them
//	sparse.go   an image with a layer of any size
package hollow
