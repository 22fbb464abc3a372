// Package migrate works on whole registries: it plans, transfers and verifies many
// repositories. It streams them, so that memory does not grow with their number.
//
// Files, in the order in which they use each other:
//
//	divide.go      divides a transfer or a verification into parts, and adds up what they did
//	transfer.go    plans all target repositories and applies the plans
//	file.go        applies a plan file while reading it
//	verify.go      compares all target repositories with their sources
//	part.go        the plan of landings with the same sources, range by range
//	collide.go     two source names that rules map to one target name
//	repository.go  applies the plan of one target repository
//	heal.go        checks and repairs the content below names that are up to date
//	proven.go      what is remembered for later runs: proven images, progress of incremental runs
//	inuse.go       which images in use are copied, and which are missing
//	checks.go      which settings may be combined
//	landings.go    which source repositories go where
//	layouts.go     image layouts on disk as source or target
//	run.go         the state of one transfer
//	pending.go     what a part leaves to the sum
package migrate
