package setup

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// NewVersion makes the command dray version.
func NewVersion(a *app.App) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of dray",
		Example: "  dray version -o json",
		Args:    flag.Exactly(0, "no argument"),
		RunE:    func(*cobra.Command, []string) error { return PrintVersion(a) },
	}
}

// PrintVersion prints the answer of dray version.
func PrintVersion(a *app.App) error {
	b := app.ThisBuild()
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(b) },
		Text: func() error {
			return a.Printf("dray %s (%s, %s/%s)\n", b.Version, b.Go, b.OS, b.Arch)
		},
		Header: []string{"VERSION", "REVISION", "GO", "OS", "ARCH"},
		Rows: func(row func(...string) error) error {
			return row(b.Version, b.Revision, b.Go, b.OS, b.Arch)
		},
	})
}

// NewCompletion makes the command dray completion.
func NewCompletion(*app.App) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that lets a shell complete dray's commands",
		Long: "Print a script that lets a shell complete dray's commands and flags. SHELL is bash, zsh, fish or " +
			"powershell.",
		Example: "  source <(dray completion bash)\n" +
			"  dray completion fish > ~/.config/fish/completions/dray.fish",
		Args: flag.Exactly(1, "bash, zsh, fish or powershell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return flag.UsageError(cmd, fmt.Errorf("unknown shell %q", args[0]), "write bash, zsh, fish or powershell")
		},
	}
}
