// Package mirror runs the mirror rules of the configuration. A rule becomes requests of package dray. One
// run of a rule has one Result for all its targets. A Watch runs rules at their scheduled times. In the
// order of the walk:
//
//	watch.go     runs rules at their scheduled times
//	state.go     stores the results of rules in files
//	run.go       one run of a rule
//	request.go   converts a rule to requests
package mirror
