package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/jmespath/go-jmespath"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
)

// azFlags are those that az acr's commands about a registry's content share.
type azFlags struct {
	registry      string
	username      string
	password      string
	passwordStdin bool
	query         string
	quietToo      bool // --only-show-errors

	search *jmespath.JMESPath // query, compiled; nil is none
}

// addTo adds the flags, with the registry under the name that az gives it in this command.
func (f *azFlags) addTo(flags *pflag.FlagSet, name, short string) {
	flags.StringVarP(&f.registry, name, short, "", "`REGISTRY`: a configured name, a host, or an Azure registry's name (default $AZURE_DEFAULTS_ACR, else the configuration's)")
	flags.StringVarP(&f.username, "username", "u", "", "`USER` there")
	flags.StringVarP(&f.password, "password", "p", "", "`PASSWORD` there; alone it is a token")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from stdin")
	f.addCommonTo(flags)
}

// addCommonTo adds what az has in every command.
func (f *azFlags) addCommonTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.query, "query", "", "print what `JMESPATH` finds in the JSON answer, as az does")
	flags.StringP("resource-group", "g", "", "`NAME`, accepted for az scripts; has no effect")
	flags.String("subscription", "", "`ID`, accepted for az scripts; has no effect")
	flags.BoolVar(&f.quietToo, "only-show-errors", false, "the same as --quiet")
}

// settle reads the flags before anything is asked of a registry.
func (f *azFlags) settle(h *how, cmd *cobra.Command) error {
	h.quiet = h.quiet || f.quietToo
	if f.query == "" {
		return nil
	}
	search, err := jmespath.Compile(f.query)
	if err != nil {
		return usageError(cmd, fmt.Errorf("--query %q: %w", f.query, err), "a JMESPath expression")
	}
	f.search = search
	return nil
}

// full is the full name of path in the registry of the flags.
func (f *azFlags) full(env func(string) string, d *dray.Dray, path string) (string, error) {
	host, err := d.RegistryHost(cmp.Or(f.registry, env("AZURE_DEFAULTS_ACR")))
	if k := len(host) + 1; err == nil && len(path) > k && strings.EqualFold(path[:k], host+"/") {
		path = path[k:] // az says such a name is wrong; what it means is plain
	}
	return strings.TrimSuffix(host+"/"+path, "/"), err
}

// azFormat is az's output format for a command: JSON, unless another was asked for.
func azFormat(cmd *cobra.Command, typed format) format {
	if !cmd.Flags().Changed("output") {
		return formatJSON
	}
	return typed
}
