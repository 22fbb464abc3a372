// Package job is a durable queue in a database. It keeps each accepted job until it has ended, even if
// the process that runs it crashes.
//
// A job is a row of a table. An Engine decides when and where it runs. The embedded engine, for a SQLite file,
// is in this package. Another is in package temporal, for many processes that share a PostgreSQL database.
//
// Each attempt at a job has a number, its fence: every change of the attempt has the condition
// `WHERE id = … AND fence = …`. So a process that was suspended, and whose job another one has begun since,
// cannot change the job when it continues. docs/jobs.md has a diagram of the states.
//
// The package does not know images. A request is JSON, and a Runner interprets it. Package live passes
// the events of running jobs on to those who watch them. Package turn has the order of principals.
//
// In the order of the walk:
//
//	open.go       opens a Queue, and creates its tables
//	embedded.go   the engine of one process
//	work.go       runs jobs until the process stops
//	schedule.go   schedules, which create jobs at their times
//	begin.go      begins an attempt at a job or a part, and counts lost ones
//	finish.go     stores how a run ended, and cancels jobs
//	upkeep.go     the list of workers, and the deletion of old history
//	submit.go     creates jobs, one for each idempotency key, and limits how many are queued
//	file.go       the files of jobs, stored in pieces before the job is submitted
//	list.go       reads, lists, counts and watches jobs
//	parts.go      the parts of a divided job
//	run.go        one attempt at a job, and the methods for its runner
//	write.go      writes items, lines and progress of runs
//	fence.go      whether an attempt still has its job, and how it learns that it has to stop
//	budget.go     request budgets of registries, shared by all workers
//	orders.go     the orders that a transaction leaves for an engine
//	queue.go      the types that all files use: Config, Queue, Engine, Runner and Run; and how a row is read
package job
