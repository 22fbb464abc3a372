// Package wire declares what goes over REST, and what a server keeps and tells in the same form:
// requests, jobs and their events, tokens and entries of the audit log, answers and problems.
//
// It is a leaf, so that who only asks a server (the command line, package client) links nothing
// of one. Who keeps such a thing (job, access) or carries it out (verb) imports it, and package api
// makes docs/openapi.json of it. In the order of the walk:
//
//	answer.go    pages of what follows, and where all of it is
//	request.go   what is asked for: every verb
//	answer.go    pages and answers around what follows
//	job.go       what becomes of it: a job, its steps, log, events and schedule
//	progress.go  how far a job is, and what happens to images meanwhile
//	access.go    who may ask: roles, tokens, stored logins, the audit log
//	problem.go   an answer that is an error
//	keep.go      what looking after a server tells
package wire
