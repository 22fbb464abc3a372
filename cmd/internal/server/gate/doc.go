// Package gate protects the embedded registry. For each request it authenticates the caller, checks
// the rules, and writes changes to the audit log.
//
// The files, in the order of the walk:
//
//	requests.go   requests of the distribution API, each checked against the rules
//	catalog.go    the list of the repositories that the caller may pull
//	token.go      the token service, for tools that ask for a token per repository
//	gate.go       the Gate, and its answers 401 and 403
//	path.go       the paths of the distribution API
package gate
