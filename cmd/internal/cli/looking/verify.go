package looking

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// verifyFlags are those of verify: transfer's choice of names, and how deep to look.
type verifyFlags struct {
	flag.Ends
	deep    bool
	rehash  string // "" is not, "all", "sample", or "N%"
	heal    bool
	receipt string
	by      string
}

// NewVerify makes dray verify.
func NewVerify(a *app.App) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify SOURCE... TARGET",
		Short: "Prove that a target holds what its source holds",
		Long: "Compare what names point to at both ends: one line of a listing or one HEAD for each. The ends\n" +
			"are those of transfer, with the same flags, or two images, or layouts (oci:DIR). With --deep all\n" +
			"that is below a name is asked for at TARGET, with its size; with --rehash it is read there. Tags\n" +
			"that only TARGET has are counted and are no trouble. Prints a line for each trouble; -o json\n" +
			"prints a receipt. Nothing is written but by --heal. Exit code 0: all the same, 7: not all, 1:\n" +
			"not all could be compared.",
		Example: "  dray verify dev prod\n" +
			"  dray verify ghcr.io/acme/app:v1 prod/acme/app --deep\n" +
			"  dray verify dev/team/ prod/mirror/ --rehash=10% --receipt proof.json\n" +
			"  dray verify dev prod --deep --heal",
		Args: flag.AtLeast(2, "SOURCE... TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error { return runVerify(a, cmd, f, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.deep, "deep", false, "ask TARGET for each manifest, config, layer and referrer, with its size")
	flags.StringVar(&f.rehash, "rehash", "", "as --deep, and read the bytes at TARGET; of `N%` of the blobs, the same ones each time; sample is 10% (default all)")
	flags.Lookup("rehash").NoOptDefVal = "all"
	flags.BoolVar(&f.heal, "heal", false, "send what --deep or --rehash find lacking, then look again; no tag is set")
	flags.StringVar(&f.receipt, "receipt", "", "write the receipt, a JSON object, to `FILE`")
	flags.StringVar(&f.by, "by", "", "who asks: a `TEXT` for the receipt")
	f.AddSelectionTo(flags)
	f.AddMappingTo(flags)
	flags.StringArrayVar(&f.Prefer, "prefer", nil, "where sources differ about a tag this `SOURCE`'s counts; repeatable, the first counts most")
	flags.BoolVar(&f.Explain, "explain", false, "tell on stderr for each repository and tag which rule kept or dropped it")
	flags.Lookup("max-repositories").Usage = "`N` accepted, as transfer takes it; all repositories are compared"
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags)
	return cmd
}

func runVerify(a *app.App, cmd *cobra.Command, f verifyFlags, args []string) error {
	req, err := verifyRequest(a, cmd, &f, args, time.Now())
	if err != nil {
		return err
	}
	w := run.Verifying{
		Receipt: f.receipt,
		Run: func(ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.VerifyEntry) error) (r dray.Receipt, err error) {
			f.ExplainTo(s.SayLines, &req.Of)
			return d.Verify(ctx, req, tell, visit)
		},
		Ask: func(context.Context, *client.Client, *dray.Dray) (wire.Request, error) {
			return ask.Verify(&f.Ends, req), f.Told(cmd)
		},
	}
	return run.Verify(a, cmd, w)
}

func verifyRequest(a *app.App, cmd *cobra.Command, f *verifyFlags, args []string, now time.Time) (req dray.VerifyRequest, err error) {
	req = dray.VerifyRequest{Depth: dray.Digests, Heal: f.heal, By: f.by, Tool: "dray " + app.ThisBuild().Version, When: now}
	switch {
	case f.rehash == "all":
		req.Depth = dray.Rehash
	case f.rehash != "":
		req.Depth = dray.Rehash
		share := f.rehash
		if share == "sample" {
			share = "10%"
		}
		n, percent := strings.CutSuffix(share, "%")
		if req.Sample, err = strconv.Atoi(n); err != nil || !percent || req.Sample < 1 || req.Sample > 100 {
			return req, flag.UsageError(cmd, fmt.Errorf("--rehash=%s: not 1%% to 100%%", f.rehash), "as in --rehash=10%, which --rehash=sample is too")
		}
	case f.deep:
		req.Depth = dray.Deep
	case f.heal:
		return req, flag.UsageError(cmd, errors.New("--heal without --deep or --rehash: digests alone do not tell what is lacking"), "add --deep")
	}
	if err := f.Ends.Check(cmd); err != nil {
		return req, err
	}
	if req.Of, err = f.Ends.Request(cmd, a.IO.In, args); err != nil {
		return req, err
	}
	req.Of.Overwrite = plan.Update
	if req.Of.SourceLogin, err = a.SourceLogin(cmd.Context()); err != nil {
		return req, err
	}
	req.Of.TargetLogin, err = a.TargetLogin(cmd.Context())
	return req, err
}
