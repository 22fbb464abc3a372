// Package echo cuts out of the texts of servers what dray sent them as a login. A server, or a proxy before it, may
// repeat the request in its error. That error is printed, and it is in the failure of a job, which others may read.
//
// Files, in the order of the walk:
//
//	error.go  cutting what was sent out of an error
//	sent.go   what was sent, and cutting it out of a text
//	plain.go  a text without the escapes that servers write
package echo
