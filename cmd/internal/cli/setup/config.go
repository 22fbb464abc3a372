package setup

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/config/settings"
)

// NewConfig makes the command dray config.
func NewConfig(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config validate|show|schema",
		Short: "Check or show the configuration, or print its JSON Schema",
		Example: "  dray config validate dray.yaml\n" +
			"  dray config show",
		Args: flag.NoneButCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newValidate(a), newShow(a), newSchema(a))
	return cmd
}

// validated is the answer of dray config validate for a valid file.
type validated struct {
	File       string   `json:"file"` // "" if there is no file
	Registries int      `json:"registries"`
	Missing    []string `json:"missing,omitempty"` // files that it names and that do not exist
}

func newValidate(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check the configuration, or another file",
		Long: "Check FILE, or the configuration file in use, strictly, and print the line of the first error. dray " +
			"does not read the files of certificates and secrets that the configuration names. If such a file does " +
			"not exist, dray prints a note and no error, since the configuration may be for another machine.",
		Example: "  dray config validate\n" +
			"  dray config validate deploy/dray.yaml",
		Args: func(cmd *cobra.Command, args []string) error { return flag.Count(cmd, args, 0, 1, "one FILE or none") },
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.Common.Config = args[0]
			}
			c, err := a.LoadConfig()
			if err != nil {
				return err
			}
			return printValidated(a, c)
		},
	}
}

func printValidated(a *app.App, c config.Config) error {
	v := validated{File: c.Path, Registries: len(c.Registries)}
	for _, f := range settings.Files(c) {
		if _, err := os.Stat(f.Value); err != nil {
			v.Missing = append(v.Missing, fmt.Sprintf("%s: %s: %v", f.Key, f.Value, out.Bare(err)))
		}
	}
	if !a.Quiet {
		for _, m := range v.Missing {
			a.Warnf("note: %s", m)
		}
	}
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(v) },
		Text: func() error {
			line := v.File + " is valid"
			if v.File == "" {
				line = "there is no configuration file, and none is needed"
			}
			return a.Println(line)
		},
		Header: []string{"FILE", "REGISTRIES"},
		Rows:   func(row func(...string) error) error { return row(v.File, strconv.Itoa(v.Registries)) },
	})
}

// setting is one value that is in effect, and where it comes from.
type setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func newShow(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show what is configured, and where each value comes from",
		Long: "Show every value that is in effect and where it comes from: a line of the file, an environment " +
			"variable, or the default. For a secret, it shows only where the secret comes from.",
		Example: "  dray config show\n" +
			"  dray config show -o json",
		Args: flag.Exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			all, err := effective(a)
			if err != nil {
				return err
			}
			return a.Print(out.Answer{
				JSON: func() error { return a.PrintJSON(map[string][]setting{"settings": all}) },
				Text: func() error {
					w := a.NewTab()
					for _, s := range all {
						w.Add(s.Key, out.OneLine(s.Value), s.From)
					}
					return w.Flush()
				},
				Header: []string{"KEY", "VALUE", "FROM"},
				Rows: func(row func(...string) error) error {
					for _, s := range all {
						if err := row(s.Key, out.OneLine(s.Value), s.From); err != nil {
							return err
						}
					}
					return nil
				},
			})
		},
	}
}

// effective lists the values that are in effect: the file, its values, variables, and the defaults of
// flags.
func effective(a *app.App) ([]setting, error) {
	c, err := a.LoadConfig()
	if err != nil {
		return nil, err
	}
	lines, err := settings.Of(c)
	if err != nil {
		return nil, err
	}
	all := []setting{fileSetting(a, c)}
	name := a.IO.Env("AZURE_DEFAULTS_ACR")
	if name != "" {
		all = append(all, setting{"default-registry", name, "env AZURE_DEFAULTS_ACR"})
	}
	address := a.IO.Env("DRAY_SERVER")
	if address != "" {
		all = append(all, setting{"client.server", withoutLogin(address), "env DRAY_SERVER"})
	}
	if a.IO.Env("DRAY_TOKEN") != "" {
		all = append(all, setting{"client.token", "(set)", "env DRAY_TOKEN"})
	}
	for _, s := range lines {
		if (s.Key != "default-registry" || name == "") && (s.Key != "client.server" || address == "") {
			all = append(all, setting{s.Key, s.Value, fmt.Sprintf("%s:%d", c.Path, s.Line)})
		}
	}
	key := func(variable string) string { return strings.ToLower(strings.ReplaceAll(variable, "_", "-")) }
	for _, side := range []string{"SRC", "DST"} {
		for _, what := range []string{"CREDS", "USERNAME", "PASSWORD"} {
			v := side + "_" + what
			if a.IO.Env("DRAY_"+v) != "" {
				all = append(all, setting{key(v), "(set)", "env DRAY_" + v})
			}
		}
	}
	for _, v := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		for _, name := range []string{v, strings.ToLower(v)} {
			if value := a.IO.Env(name); value != "" {
				all = append(all, setting{key(v), withoutLogin(value), "env " + name})
				break
			}
		}
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(flag.Common).AddRegistryTo(flags, flag.Copies)
	stands := map[string]string{"bandwidth": "no limit", "first-byte-timeout": "that of stall-timeout"}
	names := []string{"bandwidth", "concurrency", "first-byte-timeout", "max-wait", "retries", "stall-timeout"}
	for _, name := range names {
		all = append(all, setting{name, cmp.Or(stands[name], flags.Lookup(name).DefValue), "default"})
	}
	return all, nil
}

func fileSetting(a *app.App, c config.Config) setting {
	s := setting{Key: "file", Value: c.Path, From: "default"}
	switch {
	case a.Common.Config != "":
		s.From = "flag --config"
	case a.IO.Env("DRAY_CONFIG") != "":
		s.From = "env DRAY_CONFIG"
	case c.Path == "":
		s.Value, s.From = a.Loader().DefaultPath(), "default, does not exist"
	}
	return s
}

// withoutLogin returns the address of a proxy without user and password.
func withoutLogin(proxy string) string {
	if !strings.Contains(proxy, "@") {
		return proxy
	}
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		return "(set)"
	}
	u.User = nil
	return u.String()
}

func newSchema(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the configuration file",
		Long:    "Print the JSON Schema (draft 2020-12) of the configuration file, for editors and for checks.",
		Example: "  dray config schema > dray.schema.json",
		Args:    flag.Exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			if a.Format == out.FormatNone {
				return nil
			}
			return a.PrintText(string(config.Schema()))
		},
	}
}
