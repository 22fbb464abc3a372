// Command suite runs tests, and searches everything that they print and every file that they leave for secrets:
//
//	go run ./internal/testbed/canary/suite ./...
//
// Its arguments are those of go test. The tests need to know nothing of it. It builds them with a testing package that
// moves the directories of T.TempDir to where this program searches them, instead of removing them.
//
// Files, in the order of the walk:
//
//	main.go     the program
//	run.go      runs go test, and searches what comes
//	overlay.go  the testing package that keeps directories
package main
