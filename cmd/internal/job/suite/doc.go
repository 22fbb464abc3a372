// Package suite has the tests that every engine of package job must pass, and what tests of other packages
// need to run jobs. In the order of the walk:
//
//	divider.go   an engine for tests that divides jobs
//	runner.go    runners for tests
package suite
