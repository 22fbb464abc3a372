// Package mirroring has the command dray mirror and the commands below it. In the order of the walk:
//
//	mirror.go   the command
//	status.go   dray mirror validate, schema and status
//	once.go     --once, which runs rules one after the other
//	watch.go    --watch, which runs rules at their times
//	rule.go     one run of a rule, and the lines that report it
//	tell.go     the answer on stdout, one repository at a time
//	flags.go    the flags, the file of rules, and the place where results are kept
package mirroring
