package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// placeFor finds where a verb is carried out. If that is a server, placeFor submits the job. With --no-wait
// it also prints the id of the job, and its error is then the exit code.
func placeFor(a *app.App, cmd *cobra.Command, what ask.What, dryRun bool) (Place, error) {
	ctx := cmd.Context()
	c, err := a.Client(ctx)
	if err != nil {
		return nil, err
	}
	if c == nil {
		d, err := a.Open()
		if err != nil {
			return nil, err
		}
		if a.Common.NoWait && !a.Quiet {
			a.Warnf("--no-wait has no effect without a server: this runs here, and the exit code is its result")
		}
		return here{d}, nil
	}
	t := &There{Client: c}
	if err := refuseOurs(a, cmd); err != nil {
		t.close()
		return nil, err
	}
	if a.Common.NoWait && !cmd.Flags().Changed("output") {
		a.Format = out.FormatText // even for dray plan, which prints JSON by default
	}
	what = ask.Carrying(what, a.Common.IncludeForeign.Given(), wire.Bringing{Via: a.Common.Via.String()},
		wire.Unseen{AcceptUnseen: a.Common.AcceptUnseen})
	if err := handOver(ctx, a, t, what, dryRun); err != nil {
		t.close()
		if ctx.Err() != nil && !fault.Is(err, fault.Invalid) {
			a.Warnf("interrupted: the server may have accepted the job; see %s", a.Next("jobs", "list"))
			return nil, out.Ended(out.ExitInterrupted)
		}
		return nil, err
	}
	return t, nil
}

func handOver(ctx context.Context, a *app.App, t *There, what ask.What, dryRun bool) error {
	r, err := what(ctx, t.Client, t.names)
	if err != nil {
		return err
	}
	if dryRun {
		r = wire.Request{
			Kind: wire.KindPlan,
			Plan: &wire.Plan{Import: r.Import, Copy: r.Copy, Tag: r.Tag, Batch: r.Batch, Transfer: r.Transfer},
		}
	}
	// Once the request is sent, wait for the id of the job: without the id, nobody can cancel it.
	whole := context.WithoutCancel(ctx)
	t.Job, err = app.Patiently(ctx, app.Grace, func() (wire.Job, error) {
		return t.Client.Submit(whole, r, client.How{})
	})
	if err != nil {
		return err
	}
	if !a.Common.NoWait {
		return nil
	}
	if err := PrintJobID(a, t.Job); err != nil {
		return err
	}
	return out.Ended(out.ExitOK)
}

// refuseOurs refuses flags that a server does not obey, and those for a result that --no-wait does not get. A server
// connects to registries by its own configuration, and does not report what rules decide. --ca-file counts for the
// server itself, and the request has --include-foreign,
// --via and --accept-unseen.
func refuseOurs(a *app.App, cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "explain" && err == nil {
			err = flag.UsageError(cmd, errors.New("--explain: a server does not report what its rules decide"),
				"give it with --dry-run, and without "+a.ServerFrom())
		}
		if err == nil && a.Common.NoWait && (f.Name == "failed-to" || f.Name == "receipt") {
			err = flag.UsageError(cmd, fmt.Errorf("--%s has no effect with --no-wait, which gets no result", f.Name),
				"leave one of them out")
		}
		theirs := slices.Contains(
			[]string{"src-creds", "dst-creds", "ca-file", "include-foreign", "via", "accept-unseen"}, f.Name)
		ours := flag.HeadingOf(f) == flag.Registries && !theirs
		if err == nil && (ours || f.Name == "parallel-imports") {
			hint := "leave it out: a server has its own value"
			if key := keyOf(f.Name); key != "" {
				hint = "leave it out, or set " + key + " in the configuration of the server"
			}
			err = flag.UsageError(cmd, fmt.Errorf("--%s has no effect when a server runs the command", f.Name),
				hint+"; without "+a.ServerFrom()+" the command runs on this machine")
		}
	})
	return err
}

// keyOf returns the key of a server's configuration that does there what a flag does here; "" if there is none.
func keyOf(name string) string {
	switch name {
	case "plain-http", "insecure":
		return "registries.NAME." + name
	case "first-byte-timeout":
		return "registries.NAME.limits." + name
	case "bandwidth":
		return "registries.NAME.limits.bytes-per-second"
	case "concurrency":
		return "registries.NAME.limits.connections"
	}
	return ""
}
