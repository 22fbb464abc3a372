// Package server runs dray as a server process. The process serves an embedded registry at /v2/,
// the REST API at /api/v1/, the part of Azure Resource Manager's API that az acr import needs, and
// health checks and metrics for operators.
//
// Run serves and runs jobs. Worker only runs jobs. Check tests a configuration without serving.
// Backup and Restore copy the data of a server. Package gate authorizes the requests to the
// registry; package measure holds the metrics and
// traces; package certificate keeps the certificate; package own knows the id of the content;
// package guest bounds the connections of clients;
// package budget holds the rate limits of registries, shared by all workers of a database.
//
// The files, in the order of the walk:
//
//	run.go         Run: a process that serves and runs jobs; Worker: a process that only runs jobs
//	check.go       Check: the problems that Run would meet
//	backup.go      Backup and Restore: the data of a server
//	life.go        start and stop of the listeners and the jobs
//	routes.go      the paths for clients and for operators
//	ready.go       readiness: whether the database, the storage and the queue work
//	middleware.go  logs, metrics, traces and timeouts around every request
//	serving.go     the running listeners and jobs of a process
//	schedules.go   the schedules of the configuration, stored in the database
//	parts.go       everything that a process opens: database, registry, queue and so on
//	engine.go      what hands out the jobs of several machines, and which of them this process runs
//	listen.go      the listener of an address
//	config.go      Config: what to serve, on which addresses, and to which users
package server
