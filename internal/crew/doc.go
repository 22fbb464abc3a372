// Package crew runs many tasks, a few of them in parallel. migrate shares its workers and its places for images
// in flight among all repositories of a run.
//
// The files, in the order of the walk:
//
//	crew.go   tasks in the order of their items, workers, places for images in flight
//	parts.go  the steps of a plan that are one task, and what is one part of a divided run
package crew
