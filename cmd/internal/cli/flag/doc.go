// Package flag defines the flags and arguments that several commands share, and the errors for a command
// line that is wrong. In the order of the walk:
//
//	ends.go        which names of which registries: the flags that transfer and verify share
//	referrers.go   what travels with an image
//	list.go        the list of images of a batch
//	inuse.go       the file of images in use
//	platforms.go   which platforms of an image
//	tags.go        how tags are renamed, and whether one that fails holds back the others
//	overwrite.go   what happens to tags that have another digest
//	az.go          the flags that the commands of az share
//	common.go      the flags of every command, and those about registries and servers
//	typed.go       the flags that were typed, for lines that are shown
//	usage.go       errors for a command line that is wrong
//	group.go       the headings under which the help lists flags, and flags that may be empty
//	ranges.go      the ranges of numbers and times
package flag
