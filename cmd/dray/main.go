// Command dray imports, copies and re-tags container images between registries.
//
// The commands that need a database or an embedded registry (dray serve, dray worker) are in another
// program, drayd, which dray executes. So dray itself starts in milliseconds.
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
	program.FitMemory()
	io := program.World()
	io.Drayd, io.Verifier = program.Drayd, program.Find
	os.Exit(cli.Main(program.Interruptible(io.Terminal), os.Args[1:], io))
}

// collectLater lets the heap grow to 16 MiB before a garbage collection, during the first tenth of a
// second. A small command has ended by then, and one collection would take a sixth of its time.
func collectLater() {
	percent := debug.SetGCPercent(400)
	time.AfterFunc(100*time.Millisecond, func() { debug.SetGCPercent(percent) })
}
