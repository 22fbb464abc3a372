// Package serve has the commands of the operator of a server. The code of a server is in package serving,
// which only the program drayd links. The program dray runs drayd to carry out these commands. In the
// order of the walk:
//
//	serve.go    dray serve
//	worker.go   dray worker
//	token.go    dray serve token
//	secret.go   dray serve secret
//	audit.go    dray serve audit
//	heads.go    its signed heads
//	keep.go     dray serve gc, backup and restore
//	office.go   finding where tokens, secrets and the audit log are: a server, or its data
//	setup.go    the settings of a server from flags, configuration and environment
//	drayd.go    choosing whether this process does the work, or drayd
//	flags.go    the flags that these commands share, and the answer of serve and worker
package serve
