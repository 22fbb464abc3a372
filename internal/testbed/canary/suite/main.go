package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() { os.Exit(status()) }

// status runs the tests, and returns the exit code: 1 if anything leaked, or if they could not be run.
func status() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	leaks, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "canary: %v\n", err)
		return 1
	}
	if leaks > 0 {
		fmt.Fprintf(os.Stderr, "canary: %d places contain secrets\n", leaks)
		return 1
	}
	fmt.Println("canary: no secret in any output or file")
	return 0
}
