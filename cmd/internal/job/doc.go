// Package job keeps work that was accepted until it is done: in a database, through crashes of
// who runs it.
//
// A job is a row. Who claims it holds a lease on it, renews that, and is fenced by the number of
// its attempt: every change is made `WHERE id = … AND attempt = …`, so that a worker that was
// paused, and whose job went to another, changes nothing when it wakes up. docs/jobs.md has the
// states as a drawing. The package knows no images: a request is JSON, and a Runner reads it. What
// is told of jobs while they run is package live.
//
// In the order of the walk:
//
//	open.go       a Queue on its tables
//	work.go       jobs claimed and run, until the worker stops
//	house.go      leases, history, and what waits
//	schedule.go   jobs that are made again and again
//	cancel.go     jobs asked to stop
//	finish.go     how a run ended, written down
//	submit.go     jobs made, each once
//	room.go       how many of a principal may be queued
//	claim.go      whose turn it is
//	run.go        one attempt: what a runner may say and ask
//	list.go       jobs looked at, counted and watched
//	budget.go     what a registry allows, shared by all workers
//	hints.go      notifications, and looking without them
//	queue.go      what all of these stand on: the Queue, and a Run of it
//	job.go        the nouns, and a job as a row
package job
