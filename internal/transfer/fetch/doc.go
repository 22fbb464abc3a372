// Package fetch downloads one blob from a source. It resumes broken connections, reads a large
// blob over several connections if that is faster, and shares one download among several
// readers.
//
// Files, in the order of the walk:
//
//	reading.go   one download for one Put, which may go back a little and read that again
//	download.go  reads one blob, in order
//	ranges.go    reads over several connections and puts the parts back in order
//	stream.go    reads over one connection and reopens it where it broke
//	fetcher.go   Fetcher, Want, and what it learned about the paths between hosts
//	fan.go       one download that several readers share
//	places.go    limits the blobs in flight
//	room.go      memory for bytes that cannot be delivered yet
package fetch
