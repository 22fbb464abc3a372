package moving

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/internal/shell"
)

// alike are the flags, besides those that select and rename, with which verify looks at the same sides.
var alike = []string{"prefer", "config", "server", "plain-http", "insecure", "ca-file"}

// proof returns the command line that proves the content of a transfer between ends, the sources and then the
// target: dray verify with the same selection and names, and with depth, which is --deep or --rehash.
func proof(cmd *cobra.Command, ends []string, depth string) string {
	if len(ends) < 2 {
		return shell.Dray("verify", "--help")
	}
	same := pflag.NewFlagSet("", pflag.ContinueOnError)
	var other flag.Ends
	other.AddSelectionTo(same)
	other.AddMappingTo(same)
	other.Platforms.AddTo(same, "")
	words := append([]string{"verify"}, ends...)
	words = append(words, flag.Typed(cmd, func(name string) bool {
		return name != "max-repositories" && (same.Lookup(name) != nil || slices.Contains(alike, name))
	})...)
	return shell.Dray(append(words, depth)...)
}
