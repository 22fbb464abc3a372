package moving

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/plan"
)

func newPlanCost(a *app.App) *cobra.Command {
	rate := "50MiB"
	cmd := &cobra.Command{
		Use:   "cost PLAN",
		Short: "Estimate the bytes, requests and time that a plan takes",
		Long: "Estimate what it takes to apply a plan. PLAN is a file, or - for stdin. dray reads the manifests " +
			"that the plan copies, and asks the targets which blobs they have. It writes nothing.\n\n" +
			"The estimate has the bytes to send and the least time that this takes. Bytes that the target has, or " +
			"can mount from another repository, are not counted. For each registry, the estimate has the requests " +
			"and the known limits. The requests include those with which dray apply looks at all names first.\n\n" +
			"If the source is Docker Hub, each manifest that is read counts as a pull.",
		Example: "  dray plan cost plan.json --rate 100MiB\n" +
			"  dray plan copy app:v1 prod/app:v1 | dray plan cost - -o json",
		Args: flag.Exactly(1, "the file of a plan, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error { return runPlanCost(a, cmd, args[0], rate) },
	}
	cmd.Flags().StringVar(&rate, "rate", rate,
		"assume that the link between the registries carries `SIZE` per second")
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource|flag.AtTarget)
	return cmd
}

func runPlanCost(a *app.App, cmd *cobra.Command, path, rate string) error {
	ctx := cmd.Context()
	perSecond, err := config.Size(rate)
	if err != nil || perSecond == 0 {
		return flag.UsageError(cmd, fmt.Errorf("--rate %q: not a size greater than 0", rate), "write a size such as 100MiB")
	}
	req := dray.EstimateRequest{Rate: perSecond}
	in, done, err := openPlan(a, path)
	if err != nil {
		return err
	}
	defer done()
	req.Plan, err = app.Patiently(ctx, 0, func() (*plan.Reader, error) { return plan.NewReader(in) })
	if err != nil {
		return inFile(path, err)
	}
	if req.SourceLogin, err = a.SourceLogin(ctx); err != nil {
		return err
	}
	if req.TargetLogin, err = a.TargetLogin(ctx); err != nil {
		return err
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	s := a.NewStory()
	defer s.End()
	s.Far("reading the sizes of what the plan copies")
	sum, err := app.Patiently(ctx, app.Grace, func() (dray.Estimate, error) { return d.Estimate(ctx, req, s.Observe) })
	s.End()
	if err != nil {
		return err
	}
	if err := printCost(a, sum); err != nil {
		return err
	}
	if len(sum.Unknown) == 0 {
		return nil
	}
	a.Warnf("%s of the plan could not be read, and is not counted", out.Plural(len(sum.Unknown), "part"))
	if sum.Images == 0 {
		return out.Ended(out.ExitFailed)
	}
	return out.Ended(out.ExitPartly)
}

func printCost(a *app.App, sum dray.Estimate) error {
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(sum) },
		Text:   func() error { return a.PrintText(costText(sum)) },
		Header: []string{"REGISTRY", "READS", "WRITES", "PULLS", "IN", "OUT"},
		Rows: func(row func(...string) error) error {
			for _, host := range slices.Sorted(maps.Keys(sum.Registries)) {
				r := sum.Registries[host]
				err := row(
					host,
					strconv.Itoa(r.Reads),
					strconv.Itoa(r.Writes),
					strconv.Itoa(r.Pulls),
					strconv.FormatInt(r.Sent, 10),
					strconv.FormatInt(r.Received, 10),
				)
				if err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func costText(e dray.Estimate) string {
	var b strings.Builder
	b.WriteString(out.Sprintf("%s, %s, %s\n",
		out.Plural(e.Images, "image"), out.Plural(e.Tags, "tag"), out.Plural(e.Documents, "manifest")))
	b.WriteString(out.Sprintf("%s: %d at the target, %d to mount, %d to send\n",
		out.Plural(e.Blobs, "blob"), e.Present, e.Mounted, e.Sent))
	b.WriteString(out.Sprintf("%s to send, %s saved\n", out.Size(e.Bytes), out.Size(e.Saved)))
	b.WriteString(out.Sprintf("at least %s at %s/s\n", out.Seconds(e.Time), out.Size(e.Rate)))
	for _, host := range slices.Sorted(maps.Keys(e.Registries)) {
		r := e.Registries[host]
		b.WriteString(out.Sprintf("%s: %s, %s", host, out.Plural(r.Reads, "read"), out.Plural(r.Writes, "write")))
		if r.Pulls > 0 {
			b.WriteString(out.Sprintf(", %s of its limit", out.Plural(r.Pulls, "pull")))
		}
		if len(r.Limits) > 0 {
			b.WriteString(out.Sprintf("; it allows %s", strings.Join(r.Limits, ", ")))
		}
		if r.AtLeast > 0 {
			b.WriteString(out.Sprintf(": at least %s", out.Seconds(r.AtLeast)))
		}
		b.WriteString("\n")
	}
	for _, line := range e.Unknown {
		b.WriteString(out.Sprintf("not counted: %s\n", out.OneLine(line)))
	}
	return b.String()
}
