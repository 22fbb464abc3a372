// Package apply carries out a plan. It is the only package that sets names.
//
// Files, in the order in which they use each other:
//
//	apply.go   checks a plan, applies it and makes the report
//	work.go    the order of the work: content before names with plan.All, moving tags last
//	pulls.go   rounds of tasks, and the wait for a pull limit
//	settled.go which images may move, and steps that require no work
//	copy.go    one task: an image and all names that it gets
//	unseen.go  images that only Azure can see
//	via.go     lets Azure bring the blobs of an image
//	sync.go what refers to images that are up to date
//	referrers.go what refers to the image of a task, sent before its names are set
//	carried.go which digest tags the targets have as their sources have them
//	guard.go   a guard that is asked before names are set
//	backup.go  tags that are saved under another name before they move
//	locks.go   locks, set after all names
//	task.go    steps grouped by image and repository
//	run.go     one application of a plan: its steps and their results
package apply
