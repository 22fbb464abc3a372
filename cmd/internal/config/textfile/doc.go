// Package textfile reads the text files that users name: whole files of UTF-8, lists by lines.
//
//	read.go  all of it
package textfile
