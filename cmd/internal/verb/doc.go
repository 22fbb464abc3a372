// Package verb runs every verb of dray as a job. It has the JSON form of each request of package dray,
// checks which principal may make it, and is the runner that carries it out.
//
// A request is checked against the rules twice: when it is submitted, and again when it runs, which
// may be much later. Logins that come with a request are removed from it and sealed separately. So a
// request that is stored, listed or shown contains no login.
//
// In the order of the walk:
//
//	schedules.go   schedules: requests that become a job each time that they are due
//	divide.go      parts of a job, which several workers carry out at the same time
//	run.go         one run of a job, from its request to its outcome
//	retry.go       a new job for the steps that failed in another one
//	upload.go      the file of a plan that a client sends
//	submit.go      requests that become jobs
//	apply.go       how plans and verifications are carried out
//	plan.go        how a plan is made, and stored as the items of its job
//	outcome.go     the results of steps, and the outcome of the job
//	audit.go       entries of the audit log, written before a name is set and after a failure
//	work.go        the state of one run
//	pool.go        which workers a job is for, and what its names mean there
//	asks.go        the rights that a request needs, checked against the rules
//	planfile.go    the file of a plan, read from its job
//	build.go       requests of package dray, and the checks that need no registry
//	service.go     the Service, and which principal may see and change which job
//	request.go     a request in its stored form, and its logins, which are sealed separately
package verb
