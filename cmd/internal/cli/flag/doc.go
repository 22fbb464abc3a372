// Package flag is what commands read of their flags and arguments, and how they say that these are
// wrong. In the order of the walk:
//
//	ends.go        which names of which registries: what transfer and verify share
//	inuse.go       the file of images in use
//	tags.go        what tags become, and whether one that fails holds back others
//	overwrite.go   what becomes of tags that hold something else
//	az.go          what az's commands share
//	common.go      what every command has, and what all have that speak to registries or to a server
//	usage.go       how a command says that it was called wrongly
package flag
