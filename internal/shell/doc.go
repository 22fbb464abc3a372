// Package shell writes the command lines that dray shows to people, so that they can be pasted into a
// shell. Every hint that is a command of dray is made by [Dray]: a test of the command line finds all calls
// of it and runs them through the parser.
//
// Files:
//
//	shell.go   command lines and the quotes of their words
package shell
