package looking

import (
	"cmp"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/fault"
)

// shown is the answer of dray show, as far as dray knows that of az acr show.
type shown struct {
	LoginServer string `json:"loginServer"`
	Name        string `json:"name"`
}

// NewShow makes the command dray show.
func NewShow(a *app.App) *cobra.Command {
	var n flag.Az
	cmd := &cobra.Command{
		Use:   "show -n REGISTRY",
		Short: "Show the host of a registry, as az acr show does",
		Long: "Show the name of a registry and its host, which az calls its login server. dray sends no request. It " +
			"knows nothing else of what az acr show prints, and says so if a query asks for it.",
		Example: "  dray show -n prod --query loginServer -o tsv",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return flag.UsageError(cmd, errors.New("this command is about a registry"),
					"write --name REGISTRY; to see an image: "+a.Next("inspect", args[0]))
			}
			return showRegistry(a, cmd, n)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&n.Registry, "name", "n", "", flag.NamedRegistry("show this"))
	n.AddQueryTo(flags)
	n.AddSuffixTo(flags)
	n.AddCommonTo(flags)
	return cmd
}

func showRegistry(a *app.App, cmd *cobra.Command, n flag.Az) error {
	if err := n.Settle(&a.How, cmd); err != nil {
		return err
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	host, err := n.Host(a.IO.Env, d, a.Note)
	if err != nil {
		return err
	}
	name := cmp.Or(n.Registry, a.IO.Env("AZURE_DEFAULTS_ACR"), host)
	name, _, _ = strings.Cut(name[strings.LastIndex(name, "/")+1:], ".")
	v, err := query.ValueOf(shown{host, name})
	if err != nil {
		return err
	}
	if n.Search != nil {
		if answer, err := n.Search.Search(v); err == nil && answer.Note != "" {
			return &fault.Fault{
				Kind: fault.Refused,
				Op:   "show",
				Name: host,
				Hint: "ask az for it; where a command of dray takes a resource ID, give the registry's name",
				Err:  errors.New("dray knows only loginServer and name of a registry"),
			}
		}
	}
	as := flag.AzFormat(cmd, a.Format)
	if as == out.FormatText {
		as = out.FormatTSV
	}
	return a.PrintFound(as, n.Search, v)
}
