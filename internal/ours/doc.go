// Package ours opens directories in which dray keeps what it will trust later: keys, sessions of uploads, state.
//
// Who may write such a directory, or owns it, can put there what he likes, and have dray read, change or remove files
// elsewhere by symbolic links. So a directory is opened once, everything in it is reached through it, and what somebody
// else owns or may write is refused with the command that mends it. A symbolic link on the way to the directory counts
// if the user or root made it; within the directory, no link is followed. Windows has access lists instead of modes, of
// which dray reads none: there, only links are refused.
//
//	dir.go             directories and the files in them
//	check.go           what is refused, and how to mend it
//	owner_unix.go      owners, modes, links
//	owner_windows.go   likewise
//	share.go           who besides the user may write
package ours
