// Command dray imports, copies and re-tags container images between registries.
//
// What takes a database or a registry of its own (dray serve, dray worker) is in another program,
// drayd, which it executes: dray starts in milliseconds.
package main

import (
	"os"
	"runtime/debug"
	"time"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/program"
)

func main() {
	collectLater()
	io := program.World()
	io.Drayd = program.Drayd
	os.Exit(cli.Main(program.Interruptible(), os.Args[1:], io))
}

// collectLater lets the heap grow to 16 MiB before garbage is collected, for a tenth of a second:
// a small command is over by then, and one collection would take a sixth of its time.
func collectLater() {
	percent := debug.SetGCPercent(400)
	time.AfterFunc(100*time.Millisecond, func() { debug.SetGCPercent(percent) })
}
