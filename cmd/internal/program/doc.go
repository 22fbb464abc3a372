// Package program is what dray and drayd have in common when they start: the world that package cli
// is given, and dray's way to drayd. In the order of the walk:
//
//	world.go           streams, environment and signals
//	drayd.go           dray's way to drayd
//	execute_unix.go    this process becomes another program
//	execute_other.go   where it can not: the other one runs below it
package program
