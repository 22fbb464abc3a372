// Package place opens repositories, no matter where they are: at a registry, in a layout on disk,
// or in a registry inside this process.
//
// Files, in the order in which they use each other:
//
//	fits.go        what cannot be written to ends on disk together
//	named.go       the name of the only image of an end on disk
//	session.go     state that a plan and its application share: open repositories, logins
//	sharing.go     which repositories of a registry hold which blobs
//	verdicts.go    what a gate said about images
//	told.go        tells a note about a registry once in a run
//	traffic.go     counts the traffic with registries
//	base.go        state that all sessions of one Dray share
//	files.go       how many things may be done at once with few descriptors
//	runs.go        what the parts of a divided run share
//	repository.go  the interfaces of a repository
//	each.go        runs a function for several items at a time
package place
