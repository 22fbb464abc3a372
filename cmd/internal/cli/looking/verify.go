package looking

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// verifyFlags holds the flags of dray verify: those with which transfer selects names, and how deep to look.
type verifyFlags struct {
	flag.Ends
	deep    bool
	rehash  string // "" reads no blobs; else "all", "sample" or "N%"
	heal    bool
	receipt string
	by      string
}

// NewVerify makes the command dray verify.
func NewVerify(a *app.App) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify SOURCE... TARGET",
		Short: "Prove that a target has the same images as its source",
		Long: "Compare the digests that tags point to at the source and at the target. That takes one line of a " +
			"listing, or one HEAD request, for each tag. SOURCE and TARGET, and the flags that select and rename, are those " +
			"of dray transfer. SOURCE and TARGET may also be two images, OCI image layouts (oci:DIR), archives " +
			"(oci-archive:FILE, docker-archive:FILE) or directories (dir:DIR).\n\n" +
			"With --deep, dray asks TARGET for all content below each tag, with its size. With --rehash, it also " +
			"reads this content there and compares its bytes. Tags that only TARGET has are counted, and are not " +
			"a difference.\n\n" +
			"dray prints a line for each difference. With -o json, it prints a receipt. It writes nothing to a " +
			"registry, except with --heal. Exit code 0 means that all is the same, 7 that something differs, 6 that not " +
			"everything could be compared.",
		Example: "  dray verify dev prod\n" +
			"  dray verify ghcr.io/acme/app:v1 prod/acme/app --deep\n" +
			"  dray verify dev/team/ prod/mirror/ --rehash=10% --receipt proof.json\n" +
			"  dray verify dev prod --deep --heal",
		Args: flag.AtLeast(2, "one or more sources, then the target"),
		RunE: func(cmd *cobra.Command, args []string) error { return runVerify(a, cmd, f, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flag.Group(flags, "How deep to look", func(set *pflag.FlagSet) {
		set.BoolVar(&f.deep, "deep", false, "ask TARGET for each manifest, config, layer and referrer, with its size")
		set.StringVar(&f.rehash, "rehash", "",
			"as --deep, and also read blobs at TARGET and compare their bytes: all blobs, or `N%` of them, "+
				"the same ones each time; sample means 10%")
		set.Lookup("rehash").NoOptDefVal = "all"
		set.BoolVar(&f.heal, "heal", false,
			"send the content that --deep or --rehash finds missing or damaged, then look again; set no tag but those "+
				"of signatures, such as sha256-HEX.sig")
	})
	flag.Group(flags, "What to write down", func(set *pflag.FlagSet) {
		set.StringVar(&f.receipt, "receipt", "", "write the receipt, a JSON object, to `FILE`")
		set.StringVar(&f.by, "by", "", "write `TEXT` into the receipt as the name of the person who asked for it")
		set.BoolVar(&f.Explain, "explain", false,
			"print on stderr, for each repository and tag, which rule selected it or left it out")
	})
	f.AddSelectionTo(flags)
	flag.Group(flags, flag.WhichTags, func(set *pflag.FlagSet) {
		set.StringArrayVar(&f.Prefer, "prefer", nil,
			"if a tag has different digests at several sources, expect that of this `SOURCE`; "+
				"repeatable, in order of preference")
	})
	f.Platforms.AddTo(flags, "compare only")
	f.AddMappingTo(flags)
	flags.Lookup("max-repositories").Usage = "refused, since dray verify compares all repositories and not `N`"
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, flag.Copies)
	return cmd
}

func runVerify(a *app.App, cmd *cobra.Command, f verifyFlags, args []string) error {
	req, err := verifyRequest(a, cmd, &f, args, time.Now())
	if err != nil {
		return err
	}
	w := run.Verifying{
		Receipt: f.receipt,
		Run: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.VerifyEntry) error,
		) (r dray.Receipt, err error) {
			f.ExplainTo(s.SayLines, &req.Of)
			return d.Verify(ctx, req, tell, visit)
		},
		Ask: func(context.Context, *client.Client, ask.Names) (wire.Request, error) {
			return ask.Verify(&f.Ends, req), nil
		},
	}
	return run.Verify(a, cmd, w)
}

func verifyRequest(
	a *app.App, cmd *cobra.Command, f *verifyFlags, args []string, now time.Time,
) (req dray.VerifyRequest, err error) {
	req = dray.VerifyRequest{
		Depth: dray.Digests,
		Heal:  f.heal,
		By:    f.by,
		Tool:  "dray " + app.ThisBuild().Version,
		When:  now,
	}
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
			return req, flag.UsageError(cmd, fmt.Errorf("--rehash=%s: not between 1%% and 100%%", f.rehash),
				"write --rehash=10%, or --rehash=sample for the same")
		}
	case f.deep:
		req.Depth = dray.Deep
	case f.heal:
		why := errors.New("--heal without --deep or --rehash: " +
			"the digests of tags do not show what is missing below them")
		return req, flag.UsageError(cmd, why, "add --deep")
	}
	if f.Repositories > 0 {
		why := errors.New("--max-repositories: all repositories are compared")
		return req, flag.UsageError(cmd, why, "leave it out, or use --include to compare some of them")
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
