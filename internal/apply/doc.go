// Package apply carries out a plan. It is the only writer of names.
//
// Files, in the order in which they use each other:
//
//	apply.go   a plan: checked, carried out, reported
//	work.go    the order of it: content first where all depends on all, names that move last
//	pulls.go   waves of tasks, and the wait for a pull limit
//	copy.go    one task: an image, and all names that it gets
//	guard.go   a guard that is asked before names are set
//	backup.go  tags that are kept before they move
//	locks.go   locks, after all names
//	task.go    steps grouped by image and repository
//	run.go     one application: its steps and how they ended
package apply
