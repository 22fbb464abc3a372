// Package run carries out a verb, in this process or as a job of a server, and tells of it: what is
// printed does not depend on where that was. In the order of the walk:
//
//	write.go    a verb that writes: its plan or its report
//	stream.go   one whose steps are too many to be held, told repository by repository
//	verify.go   one that compares
//	failed.go   what failed, as a list that dray batch takes
//	files.go    files that are there whole or not at all
//	place.go    finding where a verb is carried out
//	here.go     in this process
//	there.go    at a server: its reports become those of this process
//	follow.go   a job that is waited for
//	job.go      one that nobody waits for any more
//	verbs.go    the nouns: verbs that write, stream and verify, and places for them
package run
