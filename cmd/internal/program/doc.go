// Package program holds what the programs dray and drayd share at their start: the streams, the
// environment and the signals for package cli, and the call of drayd by dray.
//
// The files, in the order of the walk:
//
//	world.go           the streams, the environment and the signals of the process
//	files_unix.go      how many files the process may have open
//	files_other.go     the same on systems without such a limit
//	memory_linux.go    the memory that the control group of the process allows
//	memory_other.go    other systems have no control groups
//	drayd.go           how dray finds and executes drayd
//	execute_unix.go    on Unix: the process becomes the other program
//	execute_other.go   on other systems: the other program runs as a child process
package program
