package moving

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/shell"
)

// NewPlan makes the command dray plan.
func NewPlan(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan transfer|copy|import|show|cost",
		Short: "Plan a copy without doing it; show a plan, or what it costs",
		Long: "Print a plan of what transfer, copy or import would do, as JSON on stdout, and write nothing to " +
			"any registry. It is the same as --dry-run -o json of these commands, and has their flags. dray apply " +
			"carries out a plan.\n\n" +
			"If neither the source nor the target has changed, a second plan is the same as the first, byte for " +
			"byte.",
		Example: "  dray plan transfer dev prod > plan.json\n" +
			"  dray plan show plan.json\n" +
			"  dray plan cost plan.json",
		Args: flag.NoneButCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, verb := range []*cobra.Command{newTransfer(a, flag.Plans), newCopy(a, flag.Plans), newImport(a, flag.Plans)} {
		cmd.AddCommand(planned(a, verb))
	}
	cmd.AddCommand(newPlanShow(a), newPlanCost(a))
	return cmd
}

// applied are flags of verbs that count only when something is written.
var applied = []string{"failed-to", "heal", "rehash", "delay-seconds", "parallel-imports"}

// planned turns the command of a verb into the command that plans this verb.
func planned(a *app.App, verb *cobra.Command) *cobra.Command {
	name := verb.Name()
	verb.Short = "Plan what dray " + name + " would do"
	verb.Long = "Print the plan of dray " + name + " and write nothing. The help of dray " + name + " explains the flags."
	verb.Example = planExample(verb.Example, name)
	run := verb.RunE
	verb.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range applied {
			if cmd.Flags().Changed(name) {
				return flag.UsageError(cmd, fmt.Errorf("--%s has no effect on a plan", name),
					"leave it out; what applies a plan has flags of its own: "+shell.Dray("apply", "--help"))
			}
		}
		if err := cmd.Flags().Set("dry-run", "true"); err != nil {
			return err
		}
		if !cmd.Flags().Changed("output") {
			a.Format = out.FormatJSON
		}
		return run(cmd, args)
	}
	for _, name := range append([]string{"dry-run"}, applied...) {
		if f := verb.Flags().Lookup(name); f != nil {
			f.Hidden = true
		}
	}
	return verb
}

// planExample makes an example of a plan from the first of a verb's examples, which may have several
// lines.
func planExample(examples, name string) string {
	var first []string
	for line := range strings.SplitSeq(examples, "\n") {
		first = append(first, line)
		if !strings.HasSuffix(line, "\\") {
			break
		}
	}
	whole := strings.TrimSuffix(strings.Join(first, "\n"), " --dry-run")
	return strings.Replace(whole, "dray "+name, "dray plan "+name, 1) + " > plan.json"
}
