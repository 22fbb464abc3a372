package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says which dray this is.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// thisBuild reads what the go command stamped into the program.
func thisBuild() build {
	b := build{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

// Version is the version of this program.
func Version() string { return thisBuild().Version }

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print dray's version",
		Example: "  dray version -o json",
		Args:    exactly(0, "no argument"),
		RunE:    func(*cobra.Command, []string) error { return printVersion(a) },
	}
}

func printVersion(a *app) error {
	b := thisBuild()
	return a.print(answer{
		json: func() error { return a.printJSON(b) },
		text: func() error {
			_, err := fmt.Fprintf(a.out, "dray %s (%s, %s/%s)\n", b.Version, b.Go, b.OS, b.Arch)
			return err
		},
		header: []string{"VERSION", "REVISION", "GO", "OS", "ARCH"},
		rows: func(row func(...string) error) error {
			return row(b.Version, b.Revision, b.Go, b.OS, b.Arch)
		},
	})
}

func newCompletion(*app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that lets a shell complete dray's commands",
		Example: "  source <(dray completion bash)\n" +
			"  dray completion fish > ~/.config/fish/completions/dray.fish",
		Args: exactly(1, "bash, zsh, fish or powershell"),
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
			return usageError(cmd, fmt.Errorf("unknown shell %q", args[0]), "write bash, zsh, fish or powershell")
		},
	}
}
