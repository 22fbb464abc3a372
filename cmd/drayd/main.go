// Command drayd is what dray serve and dray worker execute: the registry, its database, the REST
// interface, metrics and traces. It takes the same commands and flags: drayd serve is dray serve.
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
	os.Exit(cli.Main(program.Interruptible(), os.Args[1:], io))
}
