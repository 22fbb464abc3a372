// Package feed provides the bytes of a blob to the requests of its upload. It hashes what it reads,
// reads ahead of the sending if that is worthwhile, and can return to an earlier byte after a
// request was interrupted. It releases the last bytes only after the digest and the size of the
// whole blob have been verified.
//
// Files, in the order of the walk:
//
//	feed.go   Feed, and the pieces that requests send
//	ahead.go  reading and hashing while earlier bytes are sent
//	sums.go   digest and size
package feed
