package moving

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// NewPlan makes dray plan.
func NewPlan(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan transfer|copy|import|show|cost",
		Short: "Write down what a command would do; show such a plan, or what it costs",
		Long: "Print on stdout, in the form of a plan's file, what transfer, copy or import would do, and write\n" +
			"nothing anywhere. It is the --dry-run of these commands with -o json, and takes their flags.\n" +
			"dray apply carries a plan out. Equal states of both ends give equal plans, byte for byte.",
		Example: "  dray plan transfer dev prod > plan.json\n" +
			"  dray plan show plan.json\n" +
			"  dray plan cost plan.json",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return flag.UnknownCommand(cmd, args[0])
		},
	}
	for _, verb := range []*cobra.Command{NewTransfer(a), NewCopy(a), NewImport(a)} {
		cmd.AddCommand(planned(a, verb))
	}
	cmd.AddCommand(newPlanShow(a), newPlanCost(a))
	return cmd
}

// planned makes of a verb the command that plans it.
func planned(a *app.App, verb *cobra.Command) *cobra.Command {
	name := verb.Name()
	verb.Short = "Plan what dray " + name + " would do"
	verb.Long = "Print the plan of dray " + name + ", which tells more about the flags."
	verb.Example = strings.ReplaceAll(firstLine(verb.Example), "dray "+name, "dray plan "+name) + " > plan.json"
	run := verb.RunE
	verb.RunE = func(cmd *cobra.Command, args []string) error {
		if err := cmd.Flags().Set("dry-run", "true"); err != nil {
			return err
		}
		if !cmd.Flags().Changed("output") {
			a.Format = out.FormatJSON
		}
		return run(cmd, args)
	}
	verb.Flags().Lookup("dry-run").Hidden = true
	return verb
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSuffix(line, " --dry-run")
}
