// Package outfile writes the files that users name, such as a list of failures or a receipt.
//
// A regular file is replaced as a whole: readers see either the old file or the new one. Everything else that a name
// can mean is written through and stays what it is: a device, a pipe, and a link, also one to a regular file. So
// /dev/stdout is never replaced, and what is printed there stays.
//
// Files, in the order of the walk:
//
//	file.go     File, which is written in pieces
//	through.go  what is written through
package outfile
