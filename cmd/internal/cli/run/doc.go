// Package run carries out a verb, in this process or as a job of a server, and prints progress and results.
// What is printed does not depend on where the verb runs. In the order of the walk:
//
//	write.go    verbs that write: they print a plan or a report
//	stream.go   verbs with too many steps to keep in memory, printed repository by repository
//	verify.go   the verb that compares
//	failed.go   the list of what failed, which dray batch reads
//	place.go    finding where a verb is carried out
//	here.go     in this process
//	there.go    at a server, whose reports are printed as if the verb ran here
//	follow.go   following a job until it has ended
//	sparse.go   indexes of which a target has only a part
//	job.go      the ids of jobs, and jobs that the command no longer waits for
//	verbs.go    the types: kinds of verbs, and places where they are carried out
package run
