// Package bundle makes bundles, which carry images to a receiver without a network, and loads them there.
//
// While a bundle is made or loaded, it is a registry inside this process, with the name Host. So the verbs
// that copy between registries plan and copy to it and from it, with everything that they select, rename
// and check.
//
// Files, in the order of the walk:
//
//	plan.go     finds out what Create and Load would do
//	create.go   copies what the receiver lacks into a stage, and writes it as a bundle
//	remake.go   makes volumes of a bundle again
//	load.go     verifies a bundle, and copies from it
//	partial.go  what a load knows; sends the blobs of images of which some volumes are not here yet
//	copies.go   copies images that are named one by one
//	gather.go   finds out which of the staged content the bundle has
//	verify.go   verifies a bundle
//	pack.go     writes the files of a bundle
//	stage.go    a directory as a registry to write to
//	journal.go  remembers what was put into a stage
//	host.go     Host, and the files of a bundle
package bundle
