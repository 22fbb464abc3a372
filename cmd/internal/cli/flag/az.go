package flag

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/jmespath/go-jmespath"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// Az are those that az acr's commands about a registry's content share.
type Az struct {
	Registry      string
	Username      string
	Password      string
	PasswordStdin bool
	Query         string
	quietToo      bool // --only-show-errors

	Search *jmespath.JMESPath // query, compiled; nil is none
}

// AddTo adds the flags, with the registry under the name that az gives it in this command.
func (f *Az) AddTo(flags *pflag.FlagSet, name, short string) {
	flags.StringVarP(&f.Registry, name, short, "", "`REGISTRY`: a configured name, a host, or an Azure registry's name (default $AZURE_DEFAULTS_ACR, else the configuration's)")
	flags.StringVarP(&f.Username, "username", "u", "", "`USER` there")
	flags.StringVarP(&f.Password, "password", "p", "", "`PASSWORD` there; alone it is a token")
	flags.BoolVar(&f.PasswordStdin, "password-stdin", false, "read the password from stdin")
	f.AddCommonTo(flags)
}

// AddCommonTo adds what az has in every command.
func (f *Az) AddCommonTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Query, "query", "", "print what `JMESPATH` finds in the JSON answer, as az does")
	flags.StringP("resource-group", "g", "", "`NAME`, accepted for az scripts; has no effect")
	flags.String("subscription", "", "`ID`, accepted for az scripts; has no effect")
	flags.BoolVar(&f.quietToo, "only-show-errors", false, "the same as --quiet")
}

// Settle reads the flags before anything is asked of a registry.
func (f *Az) Settle(h *out.How, cmd *cobra.Command) error {
	h.Quiet = h.Quiet || f.quietToo
	if f.Query == "" {
		return nil
	}
	search, err := jmespath.Compile(f.Query)
	if err != nil {
		return UsageError(cmd, fmt.Errorf("--query %q: %w", f.Query, err), "a JMESPath expression")
	}
	f.Search = search
	return nil
}

// Full is the full name of path in the registry of the flags.
func (f *Az) Full(env func(string) string, d *dray.Dray, path string) (string, error) {
	host, err := d.RegistryHost(cmp.Or(f.Registry, env("AZURE_DEFAULTS_ACR")))
	if k := len(host) + 1; err == nil && len(path) > k && strings.EqualFold(path[:k], host+"/") {
		path = path[k:] // az says such a name is wrong; what it means is plain
	}
	return strings.TrimSuffix(host+"/"+path, "/"), err
}

// AzFormat is az's output format for a command: JSON, unless another was asked for.
func AzFormat(cmd *cobra.Command, typed out.Format) out.Format {
	if !cmd.Flags().Changed("output") {
		return out.FormatJSON
	}
	return typed
}
