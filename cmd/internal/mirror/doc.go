// Package mirror runs mirror rules: a rule becomes requests of package dray, what became of
// them one Result for all its targets, and a Watch runs rules at their times. In the order of the walk:
//
//	watch.go     rules run at their times
//	state.go     how rules went, kept in files
//	run.go       one run of a rule
//	request.go   a rule as requests
package mirror
