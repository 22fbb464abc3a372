package moving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/plan"
)

// importFlags holds the flags of dray import: those of az acr import, with the same spelling, and more.
type importFlags struct {
	source        string
	images        []string
	repositories  []string
	name          string
	registry      string
	username      string
	password      string
	passwordStdin bool
	force         bool
	backup        string
	referrers     flag.Referrers
	dryRun        bool
	quietToo      bool // --only-show-errors
	tags          []string
	platforms     flag.Platforms
	az            flag.Az  // --query alone
	gates         []string // the values of --verify-signature
	flag.Tags
}

// NewImport makes the command dray import.
func NewImport(a *app.App) *cobra.Command { return newImport(a, flag.Copies) }

func newImport(a *app.App, t flag.Traffic) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --source IMAGE [--name REGISTRY] [-t TARGET]...",
		Short: "Import an image into a registry, as az acr import does",
		Long: "Import one image, with all its platforms unless --platform names some, under one or more names in a " +
			"registry. The flags mean " +
			"the same as in az acr import.\n\n" +
			"If a target tag has another digest, that is a conflict and dray copies nothing, unless --force " +
			"replaces the tag. With --tags, or with --map and a source without a tag, dray imports many tags of a " +
			"repository, each on its own.\n\n" +
			"--source may also be a layout (oci:DIR[:REF]) or an archive (oci-archive:FILE[:REF], " +
			"docker-archive:FILE[:REF]), where - is stdin.",
		Example: "  dray import --name prod --source docker.io/library/hello-world:latest \\\n" +
			"      --image hello-world:latest\n" +
			"  dray import -n prod --source dev.azurecr.io/app:42 -t app:42 -t app:latest \\\n" +
			"      --force\n" +
			"  dray import -n prod --registry docker.io --source library/nginx@sha256:... \\\n" +
			"      --repository nginx\n" +
			"  dray import -n prod --source docker.io/library/redis --tags 7.2,7.4,latest\n" +
			"  dray import -n prod --source dev.azurecr.io/app --map latest=stable \\\n" +
			"      --map v1.0=v1.0-production\n" +
			"  dray import --source ghcr.io/acme/app:v1 -t registry.example/acme/app:v1 \\\n" +
			"      -u USER --password-stdin\n" +
			"  dray import -n prod --source docker.io/library/redis:7 --via azure",
		Args: importNames,
		RunE: func(cmd *cobra.Command, _ []string) error { return runImport(a, cmd, f) },
	}
	flags := cmd.Flags()
	flag.Group(flags, "Source", func(set *pflag.FlagSet) {
		set.StringVar(&f.source, "source", "", "import this `IMAGE`; with --registry, it is a path in that registry")
		set.StringVarP(&f.registry, "registry", "r", "",
			"import from this `REGISTRY`: a name, a login server or an ARM resource ID")
		set.StringArrayVar(&f.tags, "tags", nil,
			"import these `TAGS` of the repository that --source names, with commas between them; repeatable")
		set.StringVarP(&f.username, "username", "u", "", "log in at the source as `USER`")
		set.StringVarP(&f.password, "password", "p", "",
			flag.Password("--password-stdin, $DRAY_SRC_CREDS, or dray login"))
		set.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from stdin")
	})
	flag.Group(flags, flag.TargetNames, func(set *pflag.FlagSet) {
		set.StringVarP(&f.name, "name", "n", "", flag.NamedRegistry("import into this"))
		set.StringArrayVarP(&f.images, "image", "t", nil,
			"import as `REPO[:TAG]` in the registry of --name, or as a full name; repeatable "+
				"(default the repository and tag of the source)")
		set.StringArrayVar(&f.repositories, "repository", nil,
			"import into `REPO` by digest, without a tag; repeatable")
	})
	f.platforms.AddTo(flags, "import only")
	f.Tags.AddTo(flags)
	f.referrers.AddTo(flags)
	flag.AddForceTo(flags, &f.force)
	flag.AddBackupTo(flags, &f.backup)
	flag.AddGateTo(flags, &f.gates)
	flag.AddDryRunTo(flags, &f.dryRun)
	if t == flag.Copies { // what a plan prints is not one JSON value
		f.az.AddQueryTo(flags)
	}
	flag.AddAzTo(flags, &f.quietToo)
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, t)
	if t == flag.Copies {
		a.Common.AddViaTo(flags)
		a.Common.AddUnseenTo(flags)
	}
	return cmd
}

func runImport(a *app.App, cmd *cobra.Command, f importFlags) error {
	a.Quiet = a.Quiet || f.quietToo
	if err := f.az.Settle(&a.How, cmd); err != nil {
		return err
	}
	if f.az.Search != nil {
		if f.dryRun {
			return flag.UsageError(cmd, errors.New("--query and --dry-run both given: a plan is not one JSON value"),
				"keep one of them")
		}
		a.Search, a.Format = f.az.Search, flag.AzFormat(cmd, a.Format)
	}
	if f.source == "" {
		return flag.UsageError(cmd, errors.New("--source is missing"), "name the image to import")
	}
	tags, err := splitTags(cmd, f.tags)
	if err != nil {
		return err
	}
	renamed, err := f.Tags.Read(cmd)
	if err != nil {
		return err
	}
	travels, err := f.referrers.Read(cmd)
	if err != nil {
		return err
	}
	backup, err := flag.BackupOf(f.backup, time.Now())
	if err != nil {
		return err
	}
	if f.backup != "" && !f.force {
		return flag.UsageError(cmd, errors.New("--backup without --force: no tag is overwritten"),
			"add --force, or leave --backup out")
	}
	from, err := importLogin(a, cmd, f)
	if err != nil {
		return err
	}
	to, err := a.TargetLogin(cmd.Context())
	if err != nil {
		return err
	}
	req := dray.ImportRequest{
		Source: f.source, SourceRegistry: f.registry, Target: cmp.Or(f.name, a.IO.Env("AZURE_DEFAULTS_ACR")),
		Images: f.images, Repositories: f.repositories,
		Tags: tags, Map: renamed, Hold: f.Hold(), Backup: backup, Referrers: travels, SourceLogin: from, TargetLogin: to,
	}
	if req.Platforms, err = f.platforms.Read(); err != nil {
		return err
	}
	if f.force {
		req.Overwrite = plan.Update
	}
	if !f.dryRun {
		if err := a.Yield(f.images...); err != nil {
			return err
		}
	}
	return run.Write(a, cmd, run.Writing{
		Past: "imported", Many: len(tags)+len(renamed.Pairs) > 0, DryRun: f.dryRun, Instead: "use --force to replace it",
		Hold: req.Hold, Ask: ask.Gated(ask.Known(ask.Import(req, f.Renames)), f.gates),
		Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (p *dray.Prepared, err error) {
			if req.Gate, err = a.Gate(f.gates); err != nil {
				return nil, err
			}
			return d.PlanImport(ctx, req, tell)
		},
	})
}

// importLogin returns the login for the source: that of az's flags, else that of --src-creds or the
// environment.
func importLogin(a *app.App, cmd *cobra.Command, f importFlags) (*credential.Login, error) {
	given := f.username != "" || cmd.Flags().Changed("password") || f.passwordStdin
	switch {
	case !given:
		return a.SourceLogin(cmd.Context())
	case a.Common.SrcCreds != "":
		return nil, flag.UsageError(cmd, errors.New("--src-creds and -u or -p both give the login at the source"),
			"keep one of them")
	case f.passwordStdin && cmd.Flags().Changed("password"):
		return nil, flag.UsageError(cmd, errors.New("--password and --password-stdin both given"), "keep one of them")
	}
	if f.passwordStdin {
		var err error
		if f.password, err = a.ReadPassword(); err != nil {
			return nil, err
		}
	}
	l, err := credential.FromPassword(f.username, f.password)
	if errors.Is(err, credential.ErrNoPassword) {
		//nolint:revive,staticcheck // These are the words of az, for which scripts look.
		cause := errors.New("Authentication failed. Please provide password.")
		return nil, &fault.Fault{
			Kind: fault.Invalid,
			Side: fault.Source,
			Op:   "read login",
			Hint: "give --password-stdin or -p PASSWORD",
			Err:  cause,
		}
	}
	if err != nil {
		return nil, fault.On(fault.Source, err)
	}
	l.From = "flag --password"
	return &l, nil
}

// splitTags reads the values of --tags: tags with commas between them. Blanks around a tag are ignored,
// and so is a tag that is named again.
func splitTags(cmd *cobra.Command, values []string) ([]string, error) {
	var tags []string
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			tag = strings.TrimSpace(tag)
			switch {
			case tag == "":
				return nil, flag.UsageError(cmd, fmt.Errorf("--tags %q: an empty tag", v), "")
			case !slices.Contains(tags, tag):
				tags = append(tags, tag)
			}
		}
	}
	return tags, nil
}

// importNames refuses arguments. Other tools name the source and the targets one after the other.
func importNames(cmd *cobra.Command, args []string) error {
	if len(args) < 2 || cmd.Flags().Changed("source") {
		return flag.Count(cmd, args, 0, 0, "the image after --source")
	}
	return flag.UsageError(cmd, fmt.Errorf("unexpected argument %q: import takes names by flags alone", args[0]),
		"use "+shell.Dray(append([]string{"copy"}, args...)...)+", or write the image after --source")
}
