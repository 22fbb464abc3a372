// Package bundling has the command dray bundle and the commands below it. In the order of the walk:
//
//	bundle.go   the command, and dray bundle verify
//	create.go   dray bundle create
//	load.go     dray bundle load
//	have.go     dray bundle have
//	written.go  -o, which takes a file and a format
//	say.go      the last lines of create and load
package bundling
