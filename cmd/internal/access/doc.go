// Package access authenticates and authorizes the users of a server, and stores its tokens, logins
// and audit log.
//
// Authenticate returns the Principal of a request. A principal shows itself by an API token, by a
// user of an htpasswd file or by a client certificate. If none of these is configured and the server
// listens only on loopback, everybody on the machine is the admin "local". Allow checks what a
// principal asks for against its role and the rules, and denies everything that they do not grant.
// A Vault encrypts secrets, and Lookup returns the stored logins. The audit log records each change in a hash
// chain.
//
// An error never grants anything: what cannot be read, verified or decided is denied.
//
// The files, in the order of the walk:
//
//	open.go           Open: the configuration, the tables and the check of the keys
//	authenticate.go   Authenticate: the principal of a request; Still: whether it still has access
//	session.go        short-lived signed tokens
//	token.go          API tokens
//	marker.go         the file that says that tokens exist or existed
//	secret.go         logins of registries, encrypted
//	policy.go         Allow: the check of a request against the role and the rules
//	audit.go          the audit log, as a hash chain, and its signed heads
//	access.go         Access, and what the files above share
//	rule.go           a rule, and what it grants
//	certificate.go    the file of the authorities that sign client certificates
//	htpasswd.go       the file of users and password hashes
//	vault.go          the keys, encryption and signatures
//	places.go         a limit, for each principal, of what it may hold open
//	principal.go      principals: their names, their roles and how they show themselves
package access
