// Package migrate moves registries: it plans, transfers, verifies and estimates many repositories
// as streams, so that their number never sits in memory.
//
// Files, in the order in which they use each other:
//
//	transfer.go    all target repositories planned, and carried out
//	estimate.go    what a plan file would cost
//	file.go        a plan file, carried out while it is read
//	verify.go      all target repositories compared with their sources
//	collide.go     names that rules bring together
//	repository.go  the plan of one target repository, carried out
//	heal.go        what is below names that are right
//	proven.go      what outlives a run: what was proven, how far it came
//	inuse.go       what becomes of the images that run
//	checks.go      what goes together
//	landings.go    which source repositories go where
//	layouts.go     layouts on disk as ends
//	workers.go     many things, a few at a time
//	run.go         one transfer
//	sum.go         its report
package migrate
