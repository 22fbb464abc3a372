// Package settings lists the values of a configuration one by one, with the lines of the file where they stand.
//
// The files, in the order of the walk:
//
//	files.go     the files that a configuration names
//	settings.go  Setting: one value; all of them
package settings
