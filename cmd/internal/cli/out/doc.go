// Package out prints what a command has to say: its answer on stdout, in every format from the same value,
// and on stderr the story of the run, in the same words for all commands. It defines no flags. In the
// order of the walk:
//
//	story.go     what happens while a verb runs: progress, and the lines of --verbose and --debug
//	bars.go      progress bars on a terminal
//	tally.go     progress, added up from events
//	steps.go     the answer of verbs whose steps are too many to keep in memory
//	sums.go      the sums of reports: blobs, requests, pulls, images in use
//	exit.go      exit codes, and the end of a command
//	print.go     answers as JSON, text, table, tsv or YAML
//	az.go        lists and values in the formats of az, and what a query finds in them
//	azyaml.go    YAML as az writes it
//	azform.go    JSON, tsv and tables as az writes them
//	shown.go     lines, rows and texts of a command, in which values are escaped
//	console.go   the streams of a command, and the flags that say what is printed
//	relay.go     passing HTTP requests on to the story
//	units.go     counts, sizes and times as text
//	lines.go     errors and other texts on one line
package out
