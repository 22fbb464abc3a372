package looking

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/flag"
)

// azName is a name that az takes in two forms: the full name as the argument, or --registry and --name.
type azName struct {
	flag.Az
	name string
}

// typed returns the name that was given, and whether it is a full name.
func (n *azName) typed(cmd *cobra.Command, args []string) (name string, full bool, err error) {
	switch {
	case len(args) == 1 && (n.name != "" || n.Registry != ""):
		return "", false, flag.UsageError(cmd, errors.New("the name is given twice"), "write either HOST/REPO, or -r and -n")
	case len(args) == 1:
		return args[0], true, nil
	case n.name == "":
		return "", false, flag.UsageError(cmd, errors.New("no name given"), "write HOST/REPO, or -r REGISTRY and -n REPO")
	}
	return n.name, false, nil
}

func (n *azName) addImageTo(flags *pflag.FlagSet, creds string) {
	flags.SortFlags = false
	n.AddTo(flags, "registry", "r", creds)
	n.AddQueryTo(flags)
	flags.StringVarP(&n.name, "name", "n", "", "the image `REPO[:TAG|@DIGEST]` in that registry (default tag latest)")
}
