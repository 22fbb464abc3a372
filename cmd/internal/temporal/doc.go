// Package temporal runs the jobs of several servers and workers on Temporal. It implements job.Engine.
//
// Temporal holds what is to be done next, and who does it: queues, attempts, timers and schedules. What is
// done is in the rows of package job. A job is a workflow whose id is the job's id. Workflows carry ids and
// numbers only, so no request, name or secret is in a history.
//
// A workflow is code that Temporal runs again from its history, so it may not change while jobs run. A
// change gets a new name, such as "job.v2", and the old workflow stays as long as old jobs may run.
//
// In the order of the walk:
//
//	open.go        opens an Engine on a server of Temporal
//	work.go        takes tasks from Temporal, until the process stops
//	astray.go      finds jobs whose workflow is gone, and schedules that did not fire
//	orders.go      carries out what was ordered: starts and cancels workflows, keeps schedules
//	activities.go  runs jobs, and parts of jobs
//	planner.go     makes Temporal's schedules from ours, and fires them
//	beat.go        tells Temporal that an attempt is alive, and asks whether it is the present one
//	workflows.go   the workflows: a job, a range of its parts, a schedule that fires
//	slots.go       shares the slots of a process among its queues
//	engine.go      the Engine: what all files use
//	url.go         reads the URL of an engine
package temporal
