// Package api serves dray's REST API below /api/v1.
//
// The bodies of requests and answers are declared in package wire. The client uses the same types,
// so that server and client cannot drift apart. docs/openapi.json is generated from these types.
//
// The files, in the order of the walk:
//
//	api.go         New: the handler of the whole API; its OpenAPI document
//	verbs.go       operations that create a job: import, copy, tag and so on; plans
//	schedules.go   operations on schedules, which submit the same request repeatedly
//	admin.go       operations on the server: whoami, registries, tokens, secrets, the audit log
//	jobs.go        operations on jobs: list, report, items, log, cancel, retry
//	streams.go     answers that are streamed: the events of a job, the file of a plan
//	upload.go      plans that are uploaded, and stored while they arrive
//	accept.go      the answer to a request that created a job; the wait for the job's end
//	operation.go   how an operation is registered, and the shapes that several operations share
//	caller.go      authentication, and the check of the caller's role
//	form.go        refuses a large body at its first mistake
//	problem.go     errors as answers
//	config.go      Config: what the handlers need
package api
