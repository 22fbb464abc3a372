// Package moving has the commands that plan, write and remove. In the order of the walk:
//
//	plan.go       dray plan: the other verbs, planned into a file
//	cost.go       dray plan cost
//	apply.go      dray apply
//	show.go       dray plan show
//	planfile.go   the file of a plan, or stdin
//	import.go     dray import
//	copy.go       dray copy
//	tag.go        dray tag
//	batch.go      dray batch
//	leftover.go   what a run of a list has still to do, as a list again
//	transfer.go   dray transfer
//	proof.go      the dray verify that looks below a transfer's names
//	remove.go     dray rm, and az's commands that remove
package moving
