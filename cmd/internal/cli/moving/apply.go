package moving

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
)

// NewApply makes the command dray apply.
func NewApply(a *app.App) *cobra.Command {
	var follow bool
	var failedTo string
	var gates []string
	cmd := &cobra.Command{
		Use:   "apply PLAN",
		Short: "Carry out a plan that was written to a file",
		Long: "Carry out a plan: copy the digests that it names to the targets that it names, and nothing else. PLAN is " +
			"a file, or - for stdin.\n\n" +
			"dray first looks at the source and the target again. If a tag has another digest than when the plan " +
			"was made, dray does not touch that tag and reports an error: exit code 5, or 6 if other steps were " +
			"done. If the plan is all or nothing, dray then does none of its steps. With --follow, dray plans " +
			"the steps of such tags again.\n\n" +
			"With a server, dray sends the file there. PLAN may then also be the id of a plan that the server made.",
		Example: "  dray apply plan.json\n" +
			"  dray plan transfer dev prod | dray apply -\n" +
			"  dray apply plan.json --follow --failed-to again.txt",
		Args: flag.Exactly(1, "the file of a plan, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runApply(a, cmd, args[0], failedTo, gates, follow)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&follow, "follow", false,
		"plan the steps again whose source or target has changed since the plan was made")
	flags.StringVar(&failedTo, "failed-to", "", failedToText)
	flag.AddGateTo(flags, &gates)
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, flag.Copies)
	a.Common.AddViaTo(flags)
	return cmd
}

func runApply(a *app.App, cmd *cobra.Command, path, failedTo string, gates []string, follow bool) error {
	ctx := cmd.Context()
	var logins [2]*credential.Login
	var err error
	if logins[0], err = a.SourceLogin(ctx); err != nil {
		return err
	}
	if logins[1], err = a.TargetLogin(ctx); err != nil {
		return err
	}
	w := run.Streaming{Past: "applied the plan to", FailedTo: failedTo, Proof: run.SeeVerify}
	body := wire.Apply{Follow: follow, Logins: ask.Logins(logins[0], logins[1])}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && run.IsJobID(path) {
		body.Plan = path
		w.Ask = ask.Gated(ask.Known(wire.Request{Kind: wire.KindApply, Apply: &body}), gates)
		w.Run = func(
			context.Context, *dray.Dray, event.Observer, *out.Story, func(dray.RepositoryReport) error,
		) (dray.TransferReport, error) {
			return dray.TransferReport{}, &fault.Fault{
				Kind: fault.Invalid,
				Op:   "read plan",
				Name: path,
				Err:  errors.New("no such file"),
				Hint: "this looks like the id of a plan at a server: name the server with --server",
			}
		}
		return run.Stream(a, cmd, w)
	}
	if err := checkPlan(ctx, a, path); err != nil {
		return err
	}
	in, done, err := openPlan(a, path)
	if err != nil {
		return err
	}
	defer done()
	var read bytes.Buffer // keeps what NewReader reads of in, so that a server gets the whole file
	r, err := app.Patiently(ctx, 0, func() (*plan.Reader, error) { return plan.NewReader(io.TeeReader(in, &read)) })
	if err != nil {
		return inFile(path, err)
	}
	req := dray.PlanFileRequest{Plan: r, Follow: follow, SourceLogin: logins[0], TargetLogin: logins[1]}
	w.Verb = r.Header().Verb
	w.Ask = ask.Gated(func(ctx context.Context, c *client.Client, _ ask.Names) (wire.Request, error) {
		id, err := sendPlan(ctx, c, io.MultiReader(&read, in))
		body.Plan = id
		return wire.Request{Kind: wire.KindApply, Apply: &body}, err
	}, gates)
	w.Run = func(
		ctx context.Context, d *dray.Dray, tell event.Observer, _ *out.Story, visit func(dray.RepositoryReport) error,
	) (sum dray.TransferReport, err error) {
		if req.Gate, err = a.Gate(gates); err != nil {
			return sum, err
		}
		return d.ApplyFile(ctx, req, tell, visit)
	}
	return run.Stream(a, cmd, w)
}

// sendPlan uploads the plan in a file to the server and returns the id of the plan there.
func sendPlan(ctx context.Context, c *client.Client, in io.Reader) (string, error) {
	file, err := app.Patiently(ctx, 0, func() ([]byte, error) { return io.ReadAll(io.LimitReader(in, wire.MaxPlan+1)) })
	if err == nil && len(file) > wire.MaxPlan {
		err = &fault.Fault{
			Kind: fault.TooLarge,
			Op:   "send plan",
			Err:  errors.New("the plan is larger than " + out.Size(wire.MaxPlan)),
			Hint: "let the server make the plan; see " + shell.Dray("plan", "transfer", "--help"),
		}
	}
	if err != nil {
		return "", err
	}
	j, err := c.Submit(ctx, wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Uploaded: true, File: file}}, client.How{})
	if err == nil {
		j, err = c.Wait(ctx, j.ID)
	}
	if err == nil && j.State != wire.Done && j.State != wire.Partly {
		err = cmp.Or(run.FailureOf(j), error(&fault.Fault{Kind: fault.Internal, Op: "send plan"}))
	}
	return j.ID, err
}

// checkPlan reads a whole file before any of its steps is done, so that a plan that was cut off or is
// malformed is refused as a whole. A plan from a pipe can be read only once, so it is not checked.
func checkPlan(ctx context.Context, a *app.App, path string) error {
	if at, err := os.Stat(path); path == "-" || err != nil || !at.Mode().IsRegular() {
		return nil
	}
	in, done, err := openPlan(a, path)
	if err != nil {
		return err
	}
	defer done()
	_, err = app.Patiently(ctx, 0, func() (planSummary, error) { return summarize(in) })
	return inFile(path, err)
}
