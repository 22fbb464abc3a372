package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/plan"
)

func newPlanCost(a *app) *cobra.Command {
	rate := "50MiB"
	cmd := &cobra.Command{
		Use:   "cost PLAN",
		Short: "Estimate bytes, requests and time of a plan",
		Long: "Read the manifests of what a plan moves (- is stdin), ask its targets which blobs they have, and\n" +
			"say what carrying it out takes: bytes after what is there or can be mounted, requests at each\n" +
			"registry, the look of apply at all names counted, against the limits that it is known to have,\n" +
			"and the least time. Nothing is written.\n" +
			"Where the source is Docker Hub, each manifest that is read counts as a pull.",
		Example: "  dray plan cost plan.json --rate 100MiB\n" +
			"  dray plan copy app:v1 prod/app:v1 | dray plan cost - -o json",
		Args: exactly(1, "the file of a plan, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPlanCost(cmd, args[0], rate) },
	}
	cmd.Flags().StringVar(&rate, "rate", rate, "what the link between the registries carries in a second, as `SIZE`")
	a.common.addRegistryTo(cmd.Flags())
	return cmd
}

func (a *app) runPlanCost(cmd *cobra.Command, path, rate string) error {
	perSecond, err := config.Size(rate)
	if err != nil || perSecond == 0 {
		return usageError(cmd, fmt.Errorf("--rate %q is not a rate", rate), "write a size such as 100MiB")
	}
	req := dray.EstimateRequest{Rate: perSecond}
	in, done, err := a.openPlan(path)
	if err != nil {
		return err
	}
	defer done()
	if req.Plan, err = patiently(cmd.Context(), 0, func() (*plan.Reader, error) { return plan.NewReader(in) }); err != nil {
		return err
	}
	if req.SourceLogin, err = a.sourceLogin(cmd.Context()); err != nil {
		return err
	}
	if req.TargetLogin, err = a.targetLogin(cmd.Context()); err != nil {
		return err
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer d.Close()
	s := a.newStory()
	defer s.end()
	sum, err := patiently(cmd.Context(), grace, func() (dray.Estimate, error) { return d.Estimate(cmd.Context(), req, s.observe) })
	s.end()
	if err != nil {
		return err
	}
	return a.print(answer{
		json:   func() error { return a.printJSON(sum) },
		text:   func() error { _, err := io.WriteString(a.out, costText(sum)); return err },
		header: []string{"REGISTRY", "READS", "WRITES", "PULLS", "IN", "OUT"},
		rows: func(row func(...string) error) error {
			for _, host := range slices.Sorted(maps.Keys(sum.Registries)) {
				r := sum.Registries[host]
				if err := row(host, strconv.Itoa(r.Reads), strconv.Itoa(r.Writes), strconv.Itoa(r.Pulls), strconv.FormatInt(r.Sent, 10), strconv.FormatInt(r.Received, 10)); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func costText(e dray.Estimate) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s\n", plural(e.Images, "image"), plural(e.Tags, "tag"), plural(e.Documents, "manifest"))
	fmt.Fprintf(&b, "%s: %d there, %d mounted, %d sent\n", plural(e.Blobs, "blob"), e.Present, e.Mounted, e.Sent)
	fmt.Fprintf(&b, "%s to send, %s saved\n", size(e.Bytes), size(e.Saved))
	fmt.Fprintf(&b, "at least %s at %s/s\n", seconds(e.Time), size(e.Rate))
	for _, host := range slices.Sorted(maps.Keys(e.Registries)) {
		r := e.Registries[host]
		fmt.Fprintf(&b, "%s: %s, %s", host, plural(r.Reads, "read"), plural(r.Writes, "write"))
		if r.Pulls > 0 {
			fmt.Fprintf(&b, ", %s of its limit", plural(r.Pulls, "pull"))
		}
		if len(r.Limits) > 0 {
			fmt.Fprintf(&b, "; it allows %s", strings.Join(r.Limits, ", "))
		}
		if r.AtLeast > 0 {
			fmt.Fprintf(&b, ": at least %s", seconds(r.AtLeast))
		}
		b.WriteString("\n")
	}
	for _, line := range e.Unknown {
		fmt.Fprintf(&b, "not counted: %s\n", oneLine(line))
	}
	return b.String()
}
