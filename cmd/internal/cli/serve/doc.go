// Package serve has the commands of who runs a server. What makes a server is in package serving, of
// the program drayd, which dray executes in its place. In the order of the walk:
//
//	serve.go    dray serve
//	worker.go   dray worker
//	token.go    dray serve token
//	secret.go   dray serve secret
//	audit.go    dray serve audit
//	keep.go     dray serve gc, backup and restore
//	office.go   where tokens, secrets and the audit log are: a server, or what it keeps
//	setup.go    what flags, configuration and environment say of a server
//	drayd.go    whether this process does the work, or drayd
//	flags.go    flags that these commands share, and their answer
package serve
