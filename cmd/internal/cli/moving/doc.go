// Package moving has the commands that copy, tag and remove images, and those that plan this. In the order
// of the walk:
//
//	plan.go       dray plan: plans of the other verbs
//	cost.go       dray plan cost
//	apply.go      dray apply
//	show.go       dray plan show
//	planfile.go   opening the file of a plan, or stdin
//	import.go     dray import
//	copy.go       dray copy
//	tag.go        dray tag
//	batch.go      dray batch
//	leftover.go   the list of what a run of dray batch did not do
//	transfer.go   dray transfer
//	proof.go      the dray verify that proves the content of a transfer
//	remove.go     dray rm, and the commands of az that remove
package moving
