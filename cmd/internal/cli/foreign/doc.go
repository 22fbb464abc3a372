// Package foreign knows the words that people bring from other tools: commands and flags of skopeo, crane,
// regctl, oras, docker and az that dray calls otherwise, or does not have. It turns a command line with such
// words into the one of dray that does the same. It decides nothing about what is run.
//
// In the order of the walk:
//
//	rewrite.go   makes dray's command line of one with foreign words
//	flags.go     the table of flags
//	commands.go  the table of commands
package foreign
