// Package live passes the events of jobs on to watchers while the jobs run. A watcher in the process that
// runs a job reads its events directly. A watcher of a job that runs elsewhere reads the database every
// second. In the order of the walk:
//
//	watch.go   the events that a watcher receives
//	ring.go    the latest events of a run
//	bell.go    wakes watchers when a job has changed in this process
package live
