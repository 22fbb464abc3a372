package moving

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/flag"
)

// proof returns the command line that proves the content of a transfer: dray verify --deep with the same
// sides, selection and names. A shell can run it.
func proof(cmd *cobra.Command, typed []string) string {
	same := pflag.NewFlagSet("", pflag.ContinueOnError)
	var other flag.Ends
	other.AddSelectionTo(same)
	other.AddMappingTo(same)
	also := []string{"prefer", "config", "plain-http", "insecure", "ca-file"}
	words := []string{"dray", "verify"}
	for _, end := range typed {
		words = append(words, quoted(end))
	}
	cmd.Flags().Visit(func(g *pflag.Flag) {
		if g.Name == "max-repositories" || same.Lookup(g.Name) == nil && !slices.Contains(also, g.Name) {
			return
		}
		values := []string{g.Value.String()}
		if list, ok := g.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			if g.Value.Type() == "bool" {
				words = append(words, "--"+g.Name)
			} else {
				words = append(words, "--"+g.Name, quoted(v))
			}
		}
	})
	return strings.Join(append(words, "--deep"), " ")
}

var plainWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`) })

// quoted returns s as a word of a shell, in quotes if it needs them.
func quoted(s string) string {
	if plainWord().MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
