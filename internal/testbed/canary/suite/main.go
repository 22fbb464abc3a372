package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	leaks, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "canary: %v\n", err)
		os.Exit(1)
	}
	if leaks > 0 {
		fmt.Fprintf(os.Stderr, "canary: %d places contain secrets\n", leaks)
		os.Exit(1)
	}
	fmt.Println("canary: no secret in any output or file")
}
