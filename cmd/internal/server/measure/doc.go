// Package measure holds the metrics of a server for Prometheus and its traces for OpenTelemetry.
//
// The files, in the order of the walk:
//
//	storage.go   metrics of the storage of the embedded registry
//	metrics.go   metrics of requests, jobs, registries and the queue
//	traces.go    spans of requests and jobs
//	answer.go    Answer: the status and the number of bytes of an answer
package measure
