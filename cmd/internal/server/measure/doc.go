// Package measure counts what a process does: figures for Prometheus, spans for who collects traces.
// In the order of the walk:
//
//	metrics.go   figures of requests, jobs and registries, and of the queue
//	traces.go    spans of requests and jobs
//	answer.go    the status and the bytes of an answer
package measure
