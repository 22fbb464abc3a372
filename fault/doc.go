// Package fault is the one vocabulary in which dray says what went wrong.
//
// Every error that leaves a package of this module is a *Fault or wraps one, so
// the edges (exit codes, HTTP statuses, retry verdicts) read one field, Kind,
// and never parse text.
//
// Files, in the order of the walk:
//
//	misuse.go  what can not be done as it was asked
//	fault.go   Fault, Kind, Side
package fault
