// Package pool groups registries by the workers that reach them. A pool is a name for such a group, for example
// for a network zone. A worker serves pools, and a job belongs to the pool of the registries that it touches.
//
// The files, in the order of the walk:
//
//	placement.go   Placement: the pool of a job
//	worker.go      why no worker can take the jobs of a pool
//	pool.go        Pools: the pool of a registry
package pool
