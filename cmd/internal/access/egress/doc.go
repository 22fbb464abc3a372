// Package egress limits the addresses that a server connects to for its users, and keeps what the server's network
// looks like out of the errors that they read.
//
// The files, in the order of the walk:
//
//	egress.go  Guard: the addresses that the server may connect to
//	quiet.go   errors without addresses
package egress
