// Package live passes the events of jobs on to watchers while the jobs run. A watcher in the process that
// runs a job reads its events directly. A watcher in another process receives them as notifications of
// the database. In the order of the walk:
//
//	watch.go   the events that a watcher receives, of a run in this process or in another
//	tell.go    sends the events of runs in this process to watchers in other processes
//	jobs.go    access to the jobs, and the topics of notifications
//	ring.go    the latest events of a run
package live
