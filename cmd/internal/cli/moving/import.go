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

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// importFlags are those of az acr import, in its spellings.
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
	dryRun        bool
	quietToo      bool // --only-show-errors
	tags          []string
	flag.Tags
}

// NewImport makes dray import.
func NewImport(a *app.App) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --source IMAGE [--name REGISTRY] [-t TARGET]...",
		Short: "Import an image into a registry, as az acr import does",
		Long: "Import one image, with all its platforms, under one or more names in a registry.\n" +
			"The flags mean what they mean to az acr import. A tag that holds something else is\n" +
			"a conflict and nothing is moved, unless --force replaces it. With --tags, or a map and a\n" +
			"source without a tag, many tags of a repository are imported, each on its own.",
		Example: "  dray import --name prod --source docker.io/library/hello-world:latest --image hello-world:latest\n" +
			"  dray import -n prod --source dev.azurecr.io/app:42 -t app:42 -t app:latest --force\n" +
			"  dray import -n prod --source library/nginx@sha256:... --registry docker.io --repository nginx\n" +
			"  dray import -n prod --source docker.io/library/redis --tags 7.2,7.4,latest\n" +
			"  dray import -n prod --source dev.azurecr.io/app --map latest=stable --map v1.0=v1.0-production\n" +
			"  dray import --source ghcr.io/acme/app:v1 -t registry.example/acme/app:v1 -u USER --password-stdin",
		Args: flag.Exactly(0, "the image after --source"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runImport(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.source, "source", "", "the `IMAGE` to import; with --registry a path in that registry")
	flags.StringArrayVarP(&f.images, "image", "t", nil, "target `REPO[:TAG]` in --name, or a full name without it; repeatable (default the source's)")
	flags.StringArrayVar(&f.repositories, "repository", nil, "target `REPO` for the content by digest, without a tag; repeatable")
	flags.StringVarP(&f.name, "name", "n", "", "target `REGISTRY`: a configured name, a host, or an Azure registry's name (default $AZURE_DEFAULTS_ACR, else the configuration's)")
	flags.StringVarP(&f.registry, "registry", "r", "", "source `REGISTRY`: a name, a login server or an ARM resource ID")
	flags.StringVarP(&f.username, "username", "u", "", "`USER` at the source")
	flags.StringVarP(&f.password, "password", "p", "", "`PASSWORD` at the source; alone it is a token")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from stdin")
	flags.StringArrayVar(&f.tags, "tags", nil, "import these `TAGS` of the repository that --source names, with commas between; repeatable")
	f.Tags.AddTo(flags)
	flags.BoolVar(&f.force, "force", false, "replace target tags that hold something else")
	flag.AddBackupTo(flags, &f.backup)
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, write nothing")
	flags.BoolVar(&a.Common.NoWait, "no-wait", false, "with a server: print the job's id and leave it to it; without one dray waits all the same")
	flags.StringP("resource-group", "g", "", "`NAME`, accepted for az scripts; has no effect")
	flags.String("subscription", "", "`ID`, accepted for az scripts; has no effect")
	flags.BoolVar(&f.quietToo, "only-show-errors", false, "the same as --quiet")
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags)
	return cmd
}

func runImport(a *app.App, cmd *cobra.Command, f importFlags) error {
	a.Quiet = a.Quiet || f.quietToo
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
	backup, err := flag.BackupOf(f.backup, time.Now())
	if err != nil {
		return err
	}
	if f.backup != "" && !f.force {
		return flag.UsageError(cmd, errors.New("--backup without --force: nothing is overwritten"), "add --force, or leave it out")
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
		Tags: tags, Map: renamed, Hold: f.Hold(), Backup: backup, SourceLogin: from, TargetLogin: to,
	}
	if f.force {
		req.Overwrite = plan.Update
	}
	return run.Write(a, cmd, run.Writing{
		Past: "imported", Many: len(tags)+len(renamed.Pairs) > 0, DryRun: f.dryRun, Instead: "--force replaces it",
		Hold: req.Hold, Ask: ask.Known(ask.Import(req, f.Renames)),
		Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (*dray.Prepared, error) {
			return d.PlanImport(ctx, req, tell)
		},
	})
}

// importLogin is the source's login by az's flags, else by dray's own.
func importLogin(a *app.App, cmd *cobra.Command, f importFlags) (*credential.Login, error) {
	given := f.username != "" || cmd.Flags().Changed("password") || f.passwordStdin
	switch {
	case !given:
		return a.SourceLogin(cmd.Context())
	case a.Common.SrcCreds != "":
		return nil, flag.UsageError(cmd, errors.New("--src-creds and -u or -p both give the source's login"), "keep one of them")
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
		//lint:ignore ST1005 az's own words: scripts look for them
		cause := errors.New("Authentication failed. Please provide password.")
		return nil, &fault.Fault{Kind: fault.Invalid, Side: fault.Source, Op: "read login", Hint: "-p PASSWORD or --password-stdin", Err: cause}
	}
	if err != nil {
		return nil, fault.On(fault.Source, err)
	}
	l.From = "flag --password"
	return &l, nil
}

// splitTags reads values of --tags: commas part them, blanks around one do not matter.
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
