package flag

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/event"
)

// Az holds the flags that the commands of az acr about a registry's content share.
type Az struct {
	Registry      string
	Username      string
	Password      string
	PasswordStdin bool
	Query         string
	suffix        string
	quietToo      bool // --only-show-errors

	Search *query.Query // Query, compiled by Settle; nil means no query
}

// AddTo adds the flags. The registry's flag has the name and the letter that az gives it in this
// command; creds is the variable with the login that serves in place of --password.
func (f *Az) AddTo(flags *pflag.FlagSet, name, short, creds string) {
	flags.SortFlags = false
	flags.StringVarP(&f.Registry, name, short, "", NamedRegistry("use this"))
	flags.StringVarP(&f.Username, "username", "u", "", "log in at the registry as `USER`")
	flags.StringVarP(&f.Password, "password", "p", "",
		Password("--password-stdin, $"+creds+", or dray login"))
	flags.BoolVar(&f.PasswordStdin, "password-stdin", false, "read the password from stdin")
	f.AddSuffixTo(flags)
	f.AddCommonTo(flags)
}

// AddSuffixTo adds --suffix.
func (f *Az) AddSuffixTo(flags *pflag.FlagSet) {
	Group(flags, AzFlags, func(set *pflag.FlagSet) {
		set.StringVar(&f.suffix, "suffix", "", "the registry is REGISTRY-`TENANT`.azurecr.io, as in az")
		MayBeEmpty(set, "suffix")
	})
}

// AddQueryTo adds --query, for a command that prints a JSON answer.
func (f *Az) AddQueryTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Query, "query", "", "print what `JMESPATH` finds in the JSON answer, as az does")
}

// NamedRegistry is the text of a flag that names a registry as az does; use says for what the command uses
// that registry, such as "list this".
func NamedRegistry(use string) string {
	return use + " `REGISTRY`: a configured name, a host, or an Azure registry's name " +
		"(default $AZURE_DEFAULTS_ACR, else default-registry of the configuration)"
}

// AddCommonTo adds the flags that az has in every command.
func (f *Az) AddCommonTo(flags *pflag.FlagSet) { AddAzTo(flags, &f.quietToo) }

// AddAzTo adds the flags that az has in every command, for scripts that were written for az.
func AddAzTo(flags *pflag.FlagSet, quiet *bool) {
	Group(flags, AzFlags, func(set *pflag.FlagSet) {
		set.BoolVar(quiet, "only-show-errors", false, "the same as --quiet")
		set.StringP("resource-group", "g", "", "accepted for compatibility with az; `NAME` has no effect")
		set.String("subscription", "", "accepted for compatibility with az; `ID` has no effect")
		MayBeEmpty(set, "resource-group", "subscription")
	})
}

// Settle reads the flags before the command sends any request.
func (f *Az) Settle(h *out.How, cmd *cobra.Command) error {
	h.Quiet = h.Quiet || f.quietToo
	if f.Query == "" {
		return nil
	}
	search, err := query.Compile(f.Query)
	if err != nil {
		return UsageError(cmd, fmt.Errorf("--query %q: %w", f.Query, err),
			"compare with ==, and close each bracket, as in [?name == 'v1']")
	}
	f.Search = search
	return nil
}

// Host returns the host of the registry that the flags name.
func (f *Az) Host(env func(string) string, d *dray.Dray, tell event.Observer) (string, error) {
	registry := cmp.Or(f.Registry, env("AZURE_DEFAULTS_ACR"))
	if f.suffix != "" && registry != "" && !strings.Contains(registry, ".") {
		registry += "-" + f.suffix + ".azurecr.io"
	}
	return d.RegistryHost(registry, "", tell)
}

// Full returns the full name of path in the registry that the flags name.
func (f *Az) Full(env func(string) string, d *dray.Dray, tell event.Observer, path string) (string, error) {
	host, err := f.Host(env, d, tell)
	if k := len(host) + 1; err == nil && len(path) > k && strings.EqualFold(path[:k], host+"/") {
		path = path[k:] // az refuses a path that begins with the registry's host, although it is not ambiguous
	}
	return strings.TrimSuffix(host+"/"+path, "/"), err
}

// Latest adds the tag latest to an image without a tag or a digest, as az reads it.
func Latest(image string) string {
	if strings.ContainsAny(image[strings.LastIndex(image, "/")+1:], ":@") {
		return image
	}
	return image + ":latest"
}

// AzFormat returns the output format of a command of az's: JSON, unless --output names another.
func AzFormat(cmd *cobra.Command, typed out.Format) out.Format {
	if !cmd.Flags().Changed("output") {
		return out.FormatJSON
	}
	return typed
}
