// Package trouble tells what the error of a write says about the disk: it is full, read-only or broken.
//
// Files, in the order of the walk:
//
//	trouble.go        what is wrong, and what to do
//	errno_unix.go     the errors of Unix
//	errno_windows.go  the errors of Windows
package trouble
