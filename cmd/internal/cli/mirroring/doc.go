// Package mirroring has dray mirror and the commands below it. In the order of the walk:
//
//	mirror.go   the command
//	status.go   its validate, schema and status
//	once.go     --once: rules one after the other
//	watch.go    --watch: rules at their times
//	rule.go     one run of a rule, and its lines
//	tell.go     the answer of runs, one repository at a time
//	flags.go    the file of rules, and where results are kept
package mirroring
