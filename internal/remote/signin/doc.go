// Package signin finds out what Authorization a request carries: nothing before a registry
// asks, then what its challenge wants, a password or a token of its token service.
//
// A login goes to its registry's origin and to that registry's token service, and nowhere else.
//
// Files, in the order of the walk:
//
//	signin.go     the first request, the header, the answer to a 401
//	token.go      where tokens come from, and fetching them
//	desk.go       Desk: what a host wants to know, and the tokens so far
//	challenge.go  WWW-Authenticate, however sloppy
package signin
