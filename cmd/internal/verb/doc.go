// Package verb makes every verb of dray a job: requests as JSON, in the words of package dray,
// who may make them, and the runner that carries them out.
//
// A request is held against the rules twice: when it is submitted, and again when it runs, which
// may be much later. Logins that a request brings are taken out of it and sealed apart: what is
// stored, listed and told holds none.
//
// In the order of the walk:
//
//	schedules.go   requests that are made again and again
//	run.go         one run of a job, from its request to its outcome
//	retry.go       what failed in a job, as another one: made, and carried out
//	submit.go      requests that become jobs
//	apply.go       verbs carried out
//	plan.go        plans made, and kept as items
//	outcome.go     what became of steps, and of the job
//	audit.go       what the audit log says before names are set, and after
//	work.go        what a run has at hand
//	progress.go    how far it is, added up from events
//	asks.go        all that a request may touch, held against the rules
//	planfile.go    the file of a plan, read from its job
//	build.go       requests of package dray, and what is wrong with them before any registry is asked
//	service.go     the Service, and whose jobs are whose
//	request.go     a request as it is stored, and logins sealed apart
package verb
