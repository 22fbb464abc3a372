// Package own finds the id of the storage of a server that keeps its content in its data directory, and whether
// another server has the same one. The id names the pool of the jobs that touch the server's own registry, so two
// servers with one id would take each other's jobs. That happens if somebody copies a data directory.
//
// Files, in the order of the walk:
//
//	sole.go   whether another server that is alive has the id
//	id.go     the id of a directory
//	fault.go  errors of a directory
package own
