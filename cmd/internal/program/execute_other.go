//go:build !unix

package program

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// execute runs the program at path with the streams of this process and returns its exit code. What
// a console sends (Ctrl-C, its end) reaches both; this process leaves it to the other.
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
