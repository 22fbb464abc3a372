// Command drayd is the program that dray serve and dray worker execute. It contains the registry, its
// database, the REST API, metrics and traces. It accepts the same commands and flags: drayd serve is the
// same as dray serve.
//
// dray also executes it as drayd verify-signatures, which reads a question about the signatures of an image
// from its standard input and answers it on its standard output. It is no command for people.
package main

import (
	"os"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/cli/serving"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/cmd/internal/gatekeeper/verifier"
	"github.com/drayage/dray/cmd/internal/program"
)

func main() {
	program.FitMemory()
	io := program.World()
	if len(os.Args) == 2 && os.Args[1] == evidence.Command {
		os.Exit(verifier.Main(program.Interruptible(io.Terminal), io.In, io.Out, io.Err))
	}
	io.Serving, io.Verifier = serving.New(), os.Executable
	io.Only = []string{"serve", "worker", "version"}
	os.Exit(cli.Main(program.Interruptible(io.Terminal), os.Args[1:], io))
}
