// Package server is dray as a process that listens: the embedded registry at /v2/,
// requests that become jobs at /api/v1/ and in the dialect of Azure's resource manager,
// and what an operator expects around them.
//
// Run serves, Worker only works, Check says what would be wrong, Backup and Restore
// copy what a server keeps. What stands before the registry is package gate, and what is
// counted package measure.
//
// In the order of the walk:
//
//	run.go         a process that serves
//	worker.go      one that only works
//	check.go       what would be wrong
//	backup.go      what a server keeps, copied and put back
//	life.go        listeners and work begin, and end together
//	routes.go      what clients and operators reach
//	ready.go       whether the process can do what it is there for
//	middleware.go   what is around every request
//	serving.go     the listeners and the work of a process, and its streams of events
//	schedules.go   the schedules of the configuration
//	parts.go       all that a process has open
//	budgets.go     what a registry allows, shared by all workers of a database
//	listen.go      an address, opened
//	tls.go         the server's certificate
//	config.go      what to serve, where, and to whom
package server
