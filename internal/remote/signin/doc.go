// Package signin chooses the Authorization header of a request. A request carries none until the
// registry sends a challenge. Then it carries what the challenge asks for: a user and password, or
// a token of the registry's token service.
//
// A login is sent only to its registry's origin and to that registry's token service.
//
// Files, in the order of the walk:
//
//	signin.go     the first request to a host, the header, the reaction to a 401
//	token.go      finding the token service, and fetching tokens
//	service.go    asking a token service, and what its refusals mean
//	desk.go       Desk: the challenge of a host, and the tokens fetched so far
//	challenge.go  parsing WWW-Authenticate, with its common mistakes
package signin
