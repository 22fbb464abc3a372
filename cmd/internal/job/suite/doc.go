// Package suite has the tests that every engine of package job must pass, and what tests of other packages
// need to run jobs. In the order of the walk:
//
//	suite.go     runs the tests
//	jobs.go      tests of submissions, keys, lists and budgets
//	life.go      tests of runs: cancel, stop, wait, watch, fairness
//	times.go     tests of schedules
//	divided.go   tests of divided jobs, and of several processes
//	divider.go   an engine for tests that divides jobs
//	runner.go    a Runner from a func
//	bed.go       what the tests run on, and what helps tests that run jobs
package suite
