// Package fetch reads one blob of a source: through breaks of the connection, over several
// connections where that is faster, and once for several readers.
//
// Files, in the order of the walk:
//
//	reading.go   a reading for one Put, which may come back for a little of it
//	download.go  one blob, in order
//	ranges.go    over several connections, whose parts are put back in order
//	stream.go    over one, opened again where it broke
//	fetcher.go   Fetcher, what is wanted, and what is known of paths
//	fan.go       one reading for several who want the same
//	places.go    places for blobs in flight
//	room.go      memory for what comes before its turn
package fetch
