// Package out is what a command prints: answers on stdout, in each format from the same value, and
// on stderr the story, in the words that all commands share. It knows no flags. In the order of
// the walk:
//
//	story.go     what happens while a verb runs: bars, a heartbeat, lines for --verbose and --debug
//	bars.go      how far it is, drawn on a terminal
//	tally.go     how far it is, added up from events
//	steps.go     the answer of verbs whose steps are too many to be held
//	az.go        lists and values as az prints them
//	sums.go      what reports add up to: blobs, requests, pulls, images in use
//	exit.go      exit codes, and the end of a command
//	print.go     an answer, as JSON, text, table or tsv
//	console.go   where a command answers and tells, and how
//	relay.go     the way of requests to the story
//	units.go     counts, sizes and times for people
//	lines.go     errors and other texts as one line
package out
