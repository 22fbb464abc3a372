// Package live tells what happens to jobs while it happens: to who watches in the process that runs
// them, and by notifications of the database to who watches in another. In the order of the walk:
//
//	watch.go   what a watcher sees, from a run here or elsewhere
//	tell.go    what runs here say, sent to watchers elsewhere
//	jobs.go    what is watched, and the topics of notifications
//	ring.go    what a run said of late
package live
