// Package cli is dray's command line. It turns arguments into requests of package dray, events into
// progress, a report into text or JSON, and the Kind of an error into an exit code.
//
// The rules for what is printed where:
//
//   - stdout gets the answer and nothing else; with --output json the answer is one JSON value;
//   - stderr gets the story: one line per error, warnings, progress, and a summary at the end;
//   - an error is one line in lower case without a full stop: side, verb, name, cause, hint;
//   - no color is used anywhere, so NO_COLOR has nothing to turn off.
//
// Main gets everything it uses as arguments. The package does not read the arguments, the environment or
// the standard streams of the process, so many Mains can run in one process.
//
// This package has the tree of commands. Each family of commands has a package below it: moving,
// mirroring, looking, jobs, serve and setup. These use package run, which carries out verbs in this
// process or at a server, package ask, which makes the requests to a server, package app, which holds
// what every run has, the packages flag and out, the only places for flags and for output, and package
// query, which finds what --query asks for. In the order of the walk:
//
//	cli.go      Main, which finds the command that the arguments are for
//	strange.go  commands and flags of other tools
//	man.go      the manual pages of all commands
//	help.go     the help of one command
//	wrap.go     text broken into lines that fit a page
package cli
