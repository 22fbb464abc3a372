// Package python translates the patterns of Python's fnmatch and re, which acr_transfer.py takes, into those of Go.
//
// In the order of the walk:
//
//	ignore.go  lists of patterns in the forms of acr_transfer.py
//	python.go  translates one pattern
package python
