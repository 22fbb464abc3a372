// Package api is dray's REST interface, /api/v1. What goes over it is declared in package wire, for
// the client too, so that both can not drift apart; docs/openapi.json is made of these types. In the
// order of the walk:
//
//	api.go         the handler of all of it, and its OpenAPI document
//	verbs.go       requests that make jobs, and plans
//	schedules.go   requests that are made again and again
//	admin.go       who one is, registries, tokens, secrets, the audit log
//	jobs.go        jobs, their reports, items and logs; cancel and retry
//	streams.go     what happens to a job, and a plan's file, while it is written
//	accept.go      the answer for a job that was made, held where that is asked for
//	operation.go   one operation: how it is registered, and shapes that many have
//	caller.go      who asks, and whether they may
//	config.go      what all handlers stand on
//	problem.go     errors as answers
package api
