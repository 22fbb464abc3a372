// Package suite has the tests that every engine of package job must pass, and what tests of other packages
// need to run jobs. In the order of the walk:
//
//	suite.go     runs the tests, and helps tests that run jobs
//	jobs.go      tests of submissions, keys, lists and budgets
//	life.go      tests of runs: cancel, stop, wait, watch, fairness
//	times.go     tests of schedules
//	divided.go   tests of divided jobs, and of several processes
//	divider.go   an engine for tests that divides jobs
//	runner.go    a Runner from a func
package suite
