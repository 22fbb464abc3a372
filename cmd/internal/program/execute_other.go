//go:build !unix

package program

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// execute runs the program at path with the streams of this process and returns its exit code. The
// signals of the console (Ctrl-C, its end) reach both processes; this process ignores them.
func execute(path string, args, env []string) (int, error) {
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(caught)
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}
