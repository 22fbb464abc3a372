// Package guest has the connections and the event streams of the clients of a server. They are bounded, and
// end with it.
//
// The files, in the order of the walk:
//
//	guests.go   Guests: how many connections clients may have, and who gives way
//	streams.go  Streams: the open event streams
//	files.go    how the files of a process are divided
package guest
