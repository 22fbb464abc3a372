// Package ask puts a question to a registry until it is answered: signed in, within its
// limits, and again where that may help.
//
// Files, in the order of the walk:
//
//	handle.go  Handle: one repository to ask, and whose questions these are
//	do.go      retries around one try, one try around one exchange
//	pulls.go   waiting for pulls to be back
//	retry.go   how often, and how long between
//	host.go    Host: a connection and who signs in there
package ask
