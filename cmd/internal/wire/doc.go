// Package wire declares the types that a dray server and its clients exchange over REST. The server
// also stores and prints them in the same form. They are requests, jobs and their events, tokens,
// entries of the audit log, answers and problems.
//
// The package imports nothing of a server, so the programs that only send requests to one (the
// command line, package client) do not link a server. Packages job and access store these types,
// package verb carries the requests out, and package api makes docs/openapi.json of them.
//
// In the order of the walk:
//
//	answer.go        pages of the types below, and the prefix of every path
//	request.go       requests: one type for each verb
//	job.go           a job, its steps, log, events and schedule
//	progress.go      progress of a job, and the events of its images
//	access.go        roles, tokens, stored logins and the audit log
//	names.go         the grammar of names
//	problem.go       an answer that is an error
//	maintenance.go   results of checking, backing up and cleaning a server
//	text.go          the text of an error, without files and databases of the server
package wire
