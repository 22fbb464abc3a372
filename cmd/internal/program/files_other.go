//go:build !unix

package program

// files returns 0: the system does not limit the files of a process.
func files() int { return 0 }
