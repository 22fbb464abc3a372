package flag

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// secrets are the flags whose values must not be repeated.
var secrets = []string{"password", "src-creds", "dst-creds", "database"}

// Secret reports whether the value of a flag of dray may be a secret, which no line repeats.
func Secret(name string) bool { return slices.Contains(secrets, name) }

// Typed returns the flags that the user gave to cmd, as words of a command line: those that keep reports true
// for, and none with a secret.
func Typed(cmd *cobra.Command, keep func(name string) bool) (words []string) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if Secret(f.Name) || !keep(f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			switch {
			case f.Value.Type() == "bool" && v == "true":
				words = append(words, "--"+f.Name)
			case f.NoOptDefVal != "":
				words = append(words, "--"+f.Name+"="+v)
			default:
				words = append(words, "--"+f.Name, v)
			}
		}
	})
	return words
}
