//go:build unix

package program

import "syscall"

// execute makes this process the program at path: signals, streams and the exit code are its own.
// It returns where that is not possible.
func execute(path string, args, env []string) (int, error) {
	return 0, syscall.Exec(path, append([]string{path}, args...), env)
}
