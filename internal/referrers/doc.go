// Package referrers finds what refers to an image: the documents whose subject is the image or one of its
// children, cosign's digest tags, and what refers to those in turn. Whoever copies an image, proves it at a
// target or estimates a plan walks the same way, so that they cannot disagree.
//
// Files, in the order in which they use each other:
//
//	fill.go   what refers to the images of a plan
//	lists.go  tags that list what refers to an image, which are not copied as tags
//	listed.go whether a target has what refers to a document
//	own.go    what a target keeps under a digest tag
//	walk.go   everything that refers to an image, level by level
//	direct.go what refers to one document
//	tags.go   digest tags, from a listing or asked for one by one
//	finder.go Finder: asks for each document once
package referrers
