// Package measure holds the metrics of a server for Prometheus and its traces for OpenTelemetry.
//
// The files, in the order of the walk:
//
//	metrics.go   metrics of requests, jobs, registries and the queue
//	storage.go   metrics of the storage of the embedded registry
//	traces.go    spans of requests and jobs
//	answer.go    Answer: the status and the number of bytes of an answer
package measure
