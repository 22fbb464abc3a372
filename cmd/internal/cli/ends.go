package cli

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
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// ends say which names of which registries a verb is about, and where they are at its target:
// the flags that transfer and verify share.
type ends struct {
	repository   string
	letters      string
	ignore       []string
	ignoreConfig string
	include      []string
	exclude      []string
	repositories int // at most

	includeTags []string
	excludeTags []string
	versions    string
	newerThan   string
	latest      int
	latestBy    string
	minTags     int
	untagged    bool
	inUse       string
	inUseText   string // what is in it

	strip    string
	rewrites []string
	flatten  bool
	template string
	prefix   string
	maxDepth int
	tagFlags // of which all-or-nothing is no flag here

	prefer  []string
	explain bool
}

func (f *ends) addSelectionTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.repository, "repository", "", "only this `REPO`; other rules about repositories do not count then")
	flags.StringVar(&f.letters, "letters", "", "repositories whose first letter is among these `LETTERS`, as in a-c,e")
	flags.StringArrayVar(&f.ignore, "ignore-pattern", nil, "leave out repositories that match `PATTERN`: a glob, or re: and a Python expression; globs with commas between them; repeatable")
	flags.StringVar(&f.ignoreConfig, "ignore-config", "", "read such patterns from `FILE`: a JSON list, or an object with such a list under patterns")
	flags.StringArrayVar(&f.include, "include", nil, "repositories that match `PATTERN`, a glob or re:EXPRESSION; repeatable")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "no repositories that match `PATTERN`; repeatable")
	flags.IntVar(&f.repositories, "max-repositories", 0, "at most `N` repositories that need work, in the order of their names (default all)")
	flags.StringArrayVar(&f.includeTags, "include-tags", nil, "tags that match `PATTERN`; repeatable")
	flags.StringArrayVar(&f.excludeTags, "exclude-tags", nil, "no tags that match `PATTERN`; repeatable")
	flags.StringVar(&f.versions, "semver", "", "tags that are versions in `RANGE`, as in '>=1.2 <2' or '^1.25'")
	flags.StringVar(&f.newerThan, "newer-than", "", "tags set less than `AGE` ago, as in 90d, 2w or 36h")
	flags.IntVar(&f.latest, "latest", 0, "the latest `N` tags of each repository")
	flags.StringVar(&f.latestBy, "latest-by", "", "what latest means: `version|time|name` (default time where all tags have one, else version)")
	flags.IntVar(&f.minTags, "min-tags", 0, "refuse a repository of which fewer than `N` tags are selected")
	flags.BoolVar(&f.untagged, "untagged", false, "manifests too that no tag and no index names, by digest, where SOURCE lists them")
	flags.StringVar(&f.inUse, "in-use", "", "only what runs, by digest, with the tags that point to it: `FILE` from kubectl get pods -A -o json, or one image a line; - is stdin")
}

func (f *ends) addMappingTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.strip, "strip", "", "cut `PREFIX` off repositories, whole components of it")
	flags.StringArrayVar(&f.rewrites, "rewrite", nil, "change repositories by `s/RE2/TEXT/`, after --strip; repeatable")
	flags.BoolVar(&f.flatten, "flatten", false, "a/b/c becomes a-b-c")
	flags.StringVar(&f.template, "template", "", "make repositories by `TEXT` with {repository}, {name} and {host}")
	flags.StringVar(&f.prefix, "prefix", "", "put `PREFIX` before repositories")
	flags.IntVar(&f.maxDepth, "max-depth", 0, "at most `N` components: a/b/c becomes a/b-c for 2 (default any)")
	f.addMapTo(flags)
	flags.StringArrayVar(&f.renames, "rename", nil, "change tags that no map names by `s/RE2/TEXT/`, $1 is the first group; repeatable")
}

// check refuses numbers that count nothing.
func (f *ends) check(cmd *cobra.Command) error {
	for name, n := range map[string]int{"max-repositories": f.repositories, "latest": f.latest, "min-tags": f.minTags, "max-depth": f.maxDepth} {
		if n < 0 {
			return usageError(cmd, fmt.Errorf("--%s %d: less than nothing", name, n), "")
		}
	}
	return nil
}

// told refuses what a server does not tell.
func (f *ends) told(cmd *cobra.Command) error {
	if f.explain {
		return usageError(cmd, errors.New("--explain is not told by a server"), "run it here, with --dry-run")
	}
	return nil
}

// explainTo has what the rules decide told to say, where that was asked for.
func (f *ends) explainTo(say func(string), req *dray.TransferRequest) {
	if f.explain {
		req.Explain = func(e plan.Explain) { say(e.String()) }
	}
}

// request reads the flags, and files that they name; in is stdin.
func (f *ends) request(cmd *cobra.Command, in io.Reader, args []string) (req dray.TransferRequest, err error) {
	if n := len(args); n > 0 {
		req.Sources, req.Target = args[:n-1], args[n-1]
	}
	req.Prefer = f.prefer
	if req.Selection, err = f.selection(time.Now()); err != nil {
		return req, err
	}
	if req.InUse, f.inUseText, err = readInUse(in, f.inUse); err != nil {
		return req, err
	}
	req.Mapping = plan.Mapping{StripPrefix: f.strip, Flatten: f.flatten, Template: f.template, AddPrefix: f.prefix, MaxDepth: f.maxDepth}
	if req.Mapping.Rename, err = plan.ParseRenames(f.rewrites); err != nil {
		return req, err
	}
	req.Map, err = f.tagFlags.read(cmd)
	return req, err
}

// selection reads the filters; now is what ages count from.
func (f *ends) selection(now time.Time) (plan.Selection, error) {
	s, err := plan.Words{
		Repository: f.repository, Letters: f.letters, Ignore: f.ignore, IncludeRepositories: f.include, ExcludeRepositories: f.exclude,
		MaxRepositories: f.repositories, IncludeTags: f.includeTags, ExcludeTags: f.excludeTags, Versions: f.versions,
		NewerThan: f.newerThan, Latest: f.latest, Order: f.latestBy, MinTags: f.minTags, Untagged: f.untagged,
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
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read ignore patterns", Name: path, Err: bare(err)}
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, plan.MaxIgnoreFile+1))
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read ignore patterns", Name: path, Err: bare(err)}
	}
	ps, err := plan.ParseIgnoreConfig(raw)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: path, Err: err, Hint: fault.HintOf(err)}
	}
	return slices.Clip(ps), nil
}
