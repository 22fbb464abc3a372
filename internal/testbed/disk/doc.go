// Package disk has small disks for tests that fill them, or mount them for reading only.
//
// Files, in the order of the walk:
//
//	disk_linux.go  file systems in memory
//	disk_other.go  other systems have none
package disk
