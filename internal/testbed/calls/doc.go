// Package calls runs a program and stops it at each system call that changes a file below some directories, so that a
// test can kill the program before, within or after the call, or let the call fail with an error of the disk. The
// program is not changed for that: the test is its debugger.
//
// Files, in the order of the walk:
//
//	trace_linux_amd64.go  the debugger
//	decode_linux_amd64.go which calls change files, and which files
//	trace_other.go        other systems skip the test
//	calls.go              what a test says about a call
package calls
