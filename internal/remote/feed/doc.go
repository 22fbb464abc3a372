// Package feed reads a blob's source into the requests of its upload: hashed on the way,
// ahead of what is sent where that is worth it, and from an earlier byte again after a cut.
// The last bytes leave only when the whole blob matched.
//
// Files, in the order of the walk:
//
//	feed.go   Feed, and the pieces that requests send
//	ahead.go  reading and hashing beside sending
//	sums.go   digest and size
package feed
