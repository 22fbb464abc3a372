//go:build unix

package program

import "syscall"

// execute replaces this process by the program at path, which then gets the signals, has the streams
// and sets the exit code. It returns only if that is not possible.
func execute(path string, args, env []string) (int, error) {
	return 0, syscall.Exec(path, append([]string{path}, args...), env)
}
