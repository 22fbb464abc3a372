// Package jobs has the commands about jobs and schedules of a server. In the order of the walk:
//
//	jobs.go        dray jobs: list, show, logs, cancel, retry
//	schedules.go   dray schedules
//	wait.go        a job that is watched, and jobs that are waited for
//	at.go          a command that needs a server
package jobs
