// Package cli is dray's command line: arguments become requests of package dray, events become
// progress, a report becomes text or JSON, and an error's Kind becomes the exit code.
//
// The rules of what is printed where:
//
//   - stdout is the answer and nothing else; with --output json it is one JSON value;
//   - stderr is the story: one line an error, warnings, progress, a summary at the end;
//   - an error is one line, lower case, without a full stop: side, verb, name, cause, hint;
//   - no colour is used anywhere, so NO_COLOR has nothing to turn off.
//
// Main is given all that it uses: nothing here reads the process's arguments, variables or
// standard streams, so many Mains can run in one process.
//
// This package has the tree of commands. Each family of them has a room: moving, mirroring, looking,
// jobs, serve, setup. Below these, run carries out verbs, here or at a server; ask says what a server
// is asked; app is what every run has; flag and out are the one place for flags and for output.
// In the order of the walk:
//
//	cli.go    Main; which command the arguments are for
//	man.go    manual pages of all commands
//	help.go   help about one
package cli
