// Package access decides who may do what at a server, and keeps what that takes.
//
// Authenticate finds the Principal behind a request: an API token, a user of an htpasswd
// file, a client certificate, or, where nobody is configured and the server listens on
// loopback alone, the person at the machine. Allow holds what a principal asks for against
// its role and the rules, and denies what none of them grants. A Vault seals secrets, Lookup
// hands out the logins that are stored under it, an Egress says which addresses may be
// dialled, and the audit log chains what was done.
//
// Nothing is granted by a fault: what can not be read, verified or decided is Denied.
//
// In the order of the walk:
//
//	open.go           configuration, tables, and the keys that they were sealed with
//	authenticate.go   who a request comes from, and whether they still are somebody
//	session.go        tokens of a short life, signed
//	token.go          API tokens
//	secret.go         logins of registries, sealed
//	policy.go         what a principal asks for, held against its role and the rules
//	audit.go          the log of what was done, as a chain
//	access.go         what all of these stand on
//	rule.go           one rule, and whether it grants
//	certificate.go    the file of authorities that sign clients' certificates
//	htpasswd.go       the file of users
//	vault.go          keys, and what is sealed with them
//	places.go         a bounded number for each principal, of what it holds open
//	principal.go      who asks: names, roles, ways to show who one is
//	egress.go         addresses that may be dialled
package access
