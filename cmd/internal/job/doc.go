// Package job is a durable queue in a database. It keeps each accepted job until it has ended, even if
// the process that runs it crashes.
//
// A job is a row of a table. The worker that claims a job holds a lease on it and renews the lease while
// the job runs. The number of the attempt serves as a fence: every change of the worker has the condition
// `WHERE id = … AND attempt = …`. So a worker that was suspended, and whose job another worker has
// claimed since, cannot change the job when it continues. docs/jobs.md has a diagram of the states.
//
// The package does not know images. A request is JSON, and a Runner interprets it. Package live passes
// the events of running jobs on to those who watch them.
//
// In the order of the walk:
//
//	open.go           opens a Queue, and creates its tables
//	work.go           claims jobs and runs them, until the worker stops
//	housekeeping.go   renews leases, queues waiting jobs again, and deletes old history
//	schedule.go       schedules, which create jobs at their times
//	cancel.go         cancels jobs
//	finish.go         stores how a run ended
//	submit.go         creates jobs, one for each idempotency key
//	backlog.go        limits how many jobs of a principal are queued
//	claim.go          chooses the next jobs, fairly among principals
//	run.go            one attempt at a job, and the methods for its runner
//	list.go           reads, lists, counts and watches jobs
//	budget.go         request budgets of registries, shared by all workers
//	notify.go         topics of notifications, and polling without them
//	queue.go          the types that all files use: Config, Queue and Run
//	job.go            the types of jobs, and how a row is read
package job
