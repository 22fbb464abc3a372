// Package jobs has the commands about the jobs and schedules of a server. In the order of the walk:
//
//	jobs.go        dray jobs: list, show, logs, cancel, retry
//	schedules.go   dray schedules
//	workers.go     dray workers
//	wait.go        dray jobs watch and wait
//	at.go          what commands share: the client of a server, similar names for what it does not have
package jobs
