// Package gate stands before the embedded registry: who asks, what they may, and what the audit log
// says of it. In the order of the walk:
//
//	requests.go   requests of the distribution API, each held against the rules
//	catalog.go    the list of repositories, as far as one may pull them
//	token.go      tokens for tools that want one for each repository
//	gate.go       the Gate, and its answer to who may not
//	path.go       what a path asks for
package gate
