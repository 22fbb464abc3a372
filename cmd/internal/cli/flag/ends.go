package flag

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// Ends say which names of which registries a verb is about, and where they are at its target:
// the flags that transfer and verify share.
type Ends struct {
	Repository   string
	Letters      string
	ignore       []string
	ignoreConfig string
	Include      []string
	Exclude      []string
	Repositories int // at most

	IncludeTags []string
	ExcludeTags []string
	Versions    string
	NewerThan   string
	Latest      int
	LatestBy    string
	MinTags     int
	Untagged    bool
	inUse       string
	InUseText   string // what is in it

	Strip    string
	Rewrites []string
	Flatten  bool
	Template string
	Prefix   string
	MaxDepth int
	Tags     // of which all-or-nothing is no flag here

	Prefer  []string
	Explain bool
}

// AddSelectionTo adds the flags that say which names are taken.
func (f *Ends) AddSelectionTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Repository, "repository", "", "only this `REPO`; other rules about repositories do not count then")
	flags.StringVar(&f.Letters, "letters", "", "repositories whose first letter is among these `LETTERS`, as in a-c,e")
	flags.StringArrayVar(&f.ignore, "ignore-pattern", nil, "leave out repositories that match `PATTERN`: a glob, or re: and a Python expression; globs with commas between them; repeatable")
	flags.StringVar(&f.ignoreConfig, "ignore-config", "", "read such patterns from `FILE`: a JSON list, or an object with such a list under patterns")
	flags.StringArrayVar(&f.Include, "include", nil, "repositories that match `PATTERN`, a glob or re:EXPRESSION; repeatable")
	flags.StringArrayVar(&f.Exclude, "exclude", nil, "no repositories that match `PATTERN`; repeatable")
	flags.IntVar(&f.Repositories, "max-repositories", 0, "at most `N` repositories that need work, in the order of their names (default all)")
	flags.StringArrayVar(&f.IncludeTags, "include-tags", nil, "tags that match `PATTERN`; repeatable")
	flags.StringArrayVar(&f.ExcludeTags, "exclude-tags", nil, "no tags that match `PATTERN`; repeatable")
	flags.StringVar(&f.Versions, "semver", "", "tags that are versions in `RANGE`, as in '>=1.2 <2' or '^1.25'")
	flags.StringVar(&f.NewerThan, "newer-than", "", "tags set less than `AGE` ago, as in 90d, 2w or 36h")
	flags.IntVar(&f.Latest, "latest", 0, "the latest `N` tags of each repository")
	flags.StringVar(&f.LatestBy, "latest-by", "", "what latest means: `version|time|name` (default time where all tags have one, else version)")
	flags.IntVar(&f.MinTags, "min-tags", 0, "refuse a repository of which fewer than `N` tags are selected")
	flags.BoolVar(&f.Untagged, "untagged", false, "manifests too that no tag and no index names, by digest, where SOURCE lists them")
	flags.StringVar(&f.inUse, "in-use", "", "only what runs, by digest, with the tags that point to it: `FILE` from kubectl get pods -A -o json, or one image a line; - is stdin")
}

// AddMappingTo adds the flags that say where names are at the target.
func (f *Ends) AddMappingTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Strip, "strip", "", "cut `PREFIX` off repositories, whole components of it")
	flags.StringArrayVar(&f.Rewrites, "rewrite", nil, "change repositories by `s/RE2/TEXT/`, after --strip; repeatable")
	flags.BoolVar(&f.Flatten, "flatten", false, "a/b/c becomes a-b-c")
	flags.StringVar(&f.Template, "template", "", "make repositories by `TEXT` with {repository}, {name} and {host}")
	flags.StringVar(&f.Prefix, "prefix", "", "put `PREFIX` before repositories")
	flags.IntVar(&f.MaxDepth, "max-depth", 0, "at most `N` components: a/b/c becomes a/b-c for 2 (default any)")
	f.addMapTo(flags)
	flags.StringArrayVar(&f.Renames, "rename", nil, "change tags that no map names by `s/RE2/TEXT/`, $1 is the first group; repeatable")
}

// Check refuses numbers that count nothing.
func (f *Ends) Check(cmd *cobra.Command) error {
	for name, n := range map[string]int{"max-repositories": f.Repositories, "latest": f.Latest, "min-tags": f.MinTags, "max-depth": f.MaxDepth} {
		if n < 0 {
			return UsageError(cmd, fmt.Errorf("--%s %d: less than nothing", name, n), "")
		}
	}
	return nil
}

// Told refuses what a server does not tell.
func (f *Ends) Told(cmd *cobra.Command) error {
	if f.Explain {
		return UsageError(cmd, errors.New("--explain is not told by a server"), "run it here, with --dry-run")
	}
	return nil
}

// ExplainTo has what the rules decide told to say, where that was asked for.
func (f *Ends) ExplainTo(say func(string), req *dray.TransferRequest) {
	if f.Explain {
		req.Explain = func(e plan.Explain) { say(e.String()) }
	}
}

// Request reads the flags, and files that they name; in is stdin.
func (f *Ends) Request(cmd *cobra.Command, in io.Reader, args []string) (req dray.TransferRequest, err error) {
	if n := len(args); n > 0 {
		req.Sources, req.Target = args[:n-1], args[n-1]
	}
	req.Prefer = f.Prefer
	if req.Selection, err = f.selection(time.Now()); err != nil {
		return req, err
	}
	if req.InUse, f.InUseText, err = readInUse(in, f.inUse); err != nil {
		return req, err
	}
	req.Mapping = plan.Mapping{StripPrefix: f.Strip, Flatten: f.Flatten, Template: f.Template, AddPrefix: f.Prefix, MaxDepth: f.MaxDepth}
	if req.Mapping.Rename, err = plan.ParseRenames(f.Rewrites); err != nil {
		return req, err
	}
	req.Map, err = f.Tags.Read(cmd)
	return req, err
}

// selection reads the filters; now is what ages count from.
func (f *Ends) selection(now time.Time) (plan.Selection, error) {
	s, err := plan.Words{
		Repository: f.Repository, Letters: f.Letters, Ignore: f.ignore, IncludeRepositories: f.Include, ExcludeRepositories: f.Exclude,
		MaxRepositories: f.Repositories, IncludeTags: f.IncludeTags, ExcludeTags: f.ExcludeTags, Versions: f.Versions,
		NewerThan: f.NewerThan, Latest: f.Latest, Order: f.LatestBy, MinTags: f.MinTags, Untagged: f.Untagged,
	}.Selection(now)
	if err != nil {
		return s, err
	}
	more, err := readIgnore(f.ignoreConfig)
	s.Ignore = append(s.Ignore, more...)
	return s, err
}

// readIgnore reads the file of --ignore-config; "" is none.
func readIgnore(path string) (plan.Patterns, error) {
	if path == "" {
		return nil, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read ignore patterns", Name: path, Err: out.Bare(err)}
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, plan.MaxIgnoreFile+1))
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read ignore patterns", Name: path, Err: out.Bare(err)}
	}
	ps, err := plan.ParseIgnoreConfig(raw)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: path, Err: err, Hint: fault.HintOf(err)}
	}
	return slices.Clip(ps), nil
}
