// Command drayd is the program that dray serve and dray worker execute. It contains the registry, its
// database, the REST API, metrics and traces. It accepts the same commands and flags: drayd serve is the
// same as dray serve.
package main

import (
	"os"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/cli/serving"
	"github.com/drayage/dray/cmd/internal/program"
)

func main() {
	io := program.World()
	io.Serving = serving.New()
	io.Only = []string{"serve", "worker", "version"}
	os.Exit(cli.Main(program.Interruptible(io.Terminal), os.Args[1:], io))
}
