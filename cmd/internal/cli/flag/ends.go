package flag

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// Ends holds the flags that transfer and verify share: which repositories and tags of the sources they
// are about, and which names these have at the target.
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
	Matching    bool   // the value of --require-match
	inUse       string // the file's name
	InUseText   string // the file's content

	Strip     string
	Rewrites  []string
	Flatten   bool
	Template  string
	Prefix    string
	MaxDepth  int
	Platforms Platforms
	Tags      // its --all-or-nothing is not a flag of transfer and verify

	Prefer  []string
	Explain bool
	Strict  bool
	Skip    bool // the value of --skip-broken
	Referrers
}

// SkipBrokenText is the text of --skip-broken.
const SkipBrokenText = "leave out tags that SOURCE lists and whose manifest does not exist, " +
	"and name them in the report (default such a tag fails)"

// AddSelectionTo adds the flags that select repositories and tags.
func (f *Ends) AddSelectionTo(flags *pflag.FlagSet) {
	Group(flags, WhichRepositories, func(set *pflag.FlagSet) {
		set.StringVar(&f.Repository, "repository", "",
			"only this `REPO`; dray then ignores the other flags about repositories")
		set.StringArrayVar(&f.Include, "include", nil,
			"only repositories that match `PATTERN`, a glob such as 'team/*', or re:EXPRESSION; repeatable")
		set.StringArrayVar(&f.Exclude, "exclude", nil, "no repositories that match `PATTERN`; repeatable")
		set.StringVar(&f.Letters, "letters", "",
			"only repositories whose first letter is among `LETTERS`, such as a-c,e")
		set.StringArrayVar(&f.ignore, "ignore-pattern", nil,
			"no repositories that match `PATTERN`: globs with commas between them, "+
				"or re: and a regular expression of Python; repeatable")
		set.StringVar(&f.ignoreConfig, "ignore-config", "",
			"read patterns as for --ignore-pattern from `FILE`: a JSON list, or an object with that list under the key patterns")
		set.BoolVar(&f.Strict, "strict", false,
			"fail if SOURCE lists a repository that has no tags, such as one whose push was interrupted; "+
				"without it, the report names it")
		set.Var((*limit)(&f.Repositories), "max-repositories",
			"stop after `N` repositories that need work, in the order of their names (default no limit)")
		MayBeEmpty(set, "repository", "letters", "ignore-pattern", "ignore-config", "max-repositories")
	})
	Group(flags, WhichTags, func(set *pflag.FlagSet) {
		set.StringArrayVar(&f.IncludeTags, "include-tags", nil, "only tags that match `PATTERN`; repeatable")
		set.StringArrayVar(&f.ExcludeTags, "exclude-tags", nil, "no tags that match `PATTERN`; repeatable")
		set.StringVar(&f.Versions, "semver", "",
			"only tags that are versions in `RANGE`, such as '>=1.2 <2' or '^1.25'")
		set.StringVar(&f.NewerThan, "newer-than", "", "only tags set less than `AGE` ago, such as 90d, 2w or 36h")
		set.IntVar(&f.Latest, "latest", 0, "only the latest `N` tags of each repository")
		set.StringVar(&f.LatestBy, "latest-by", "",
			"sort the tags for --latest by `ORDER`: version, time or name (default time if every tag has one, else version)")
		set.IntVar(&f.MinTags, "min-tags", 0, "refuse a repository in which fewer than `N` tags are selected")
		set.BoolVar(&f.Matching, "require-match", false,
			"fail if a rule that names repositories or tags matches nothing, or if nothing is selected")
		set.BoolVar(&f.Untagged, "untagged", false,
			"also select, by digest, manifests that no tag and no index points to, if SOURCE can list them")
		set.BoolVar(&f.Skip, "skip-broken", false, SkipBrokenText)
		set.StringVar(&f.inUse, "in-use", "",
			"only images that run in a cluster, by digest, with the tags that point to them; "+
				"`FILE` has the output of kubectl get pods -A -o json, or one image per line; - is stdin")
	})
}

// limit is a number whose empty text is 0, which is no limit.
type limit int

func (l *limit) Type() string { return "int" }

func (l *limit) String() string { return strconv.Itoa(int(*l)) }

func (l *limit) Set(s string) error {
	if s == "" {
		*l = 0
		return nil
	}
	n, err := strconv.Atoi(s)
	*l = limit(n)
	return err
}

// AddMappingTo adds the flags that make names at the target.
func (f *Ends) AddMappingTo(flags *pflag.FlagSet) {
	Group(flags, TargetNames, func(set *pflag.FlagSet) {
		set.StringVar(&f.Strip, "strip", "",
			"remove `PREFIX`, which is one or more whole path components, from the front of the name of each repository")
		set.StringArrayVar(&f.Rewrites, "rewrite", nil,
			"rename repositories with `s/RE2/TEXT/`, after --strip; repeatable")
		set.BoolVar(&f.Flatten, "flatten", false, "rename repositories such as a/b/c to a-b-c")
		set.StringVar(&f.Template, "template", "",
			"make the name of each repository from `TEXT` with {repository}, {name} and {host}")
		set.StringVar(&f.Prefix, "prefix", "", "put `PREFIX` in front of the name of each repository")
		set.IntVar(&f.MaxDepth, "max-depth", 0,
			"keep at most `N` path components: 2 turns a/b/c into a/b-c (default no limit)")
	})
	f.addMapTo(flags)
	f.Referrers.AddTo(flags)
}

// Check refuses flags that have no effect beside the others.
func (f *Ends) Check(cmd *cobra.Command) error {
	if f.LatestBy != "" && f.Latest == 0 {
		return UsageError(cmd, errors.New("--latest-by without --latest: there is nothing to sort"), "add --latest N")
	}
	return nil
}

// ExplainTo makes req report to say what the rules decide, if --explain is given.
func (f *Ends) ExplainTo(say func(string), req *dray.TransferRequest) {
	if f.Explain {
		req.Explain = func(e plan.Explain) { say(e.String()) }
	}
}

// Request makes a request of the arguments, the flags, and the files that the flags name; in is stdin.
func (f *Ends) Request(cmd *cobra.Command, in io.Reader, args []string) (req dray.TransferRequest, err error) {
	if n := len(args); n > 0 {
		req.Sources, req.Target = args[:n-1], args[n-1]
	}
	req.Prefer, req.Strict, req.SkipBroken = f.Prefer, f.Strict, f.Skip
	if req.Selection, err = f.selection(time.Now()); err != nil {
		return req, err
	}
	if req.InUse, f.InUseText, err = readInUse(in, f.inUse); err != nil {
		return req, err
	}
	req.Mapping = plan.Mapping{
		StripPrefix: f.Strip,
		Flatten:     f.Flatten,
		Template:    f.Template,
		AddPrefix:   f.Prefix,
		MaxDepth:    f.MaxDepth,
	}
	if req.Mapping.Rename, err = plan.ParseRenames(f.Rewrites); err != nil {
		return req, err
	}
	if req.Platforms, err = f.Platforms.Read(); err != nil {
		return req, err
	}
	if req.Referrers, err = f.Referrers.Read(cmd); err != nil {
		return req, err
	}
	req.Map, err = f.Tags.Read(cmd)
	return req, err
}

// selection reads the flags that select; ages count back from now.
func (f *Ends) selection(now time.Time) (plan.Selection, error) {
	s, err := plan.Words{
		Repository:          f.Repository,
		Letters:             f.Letters,
		Ignore:              f.ignore,
		IncludeRepositories: f.Include,
		ExcludeRepositories: f.Exclude,
		MaxRepositories:     f.Repositories,
		IncludeTags:         f.IncludeTags,
		ExcludeTags:         f.ExcludeTags,
		Versions:            f.Versions,
		NewerThan:           f.NewerThan,
		Latest:              f.Latest,
		Order:               f.LatestBy,
		MinTags:             f.MinTags,
		Untagged:            f.Untagged,
		RequireMatch:        f.Matching,
	}.Selection(now)
	if err != nil {
		return s, err
	}
	more, err := readIgnore(f.ignoreConfig)
	s.Ignore = append(s.Ignore, more...)
	return s, err
}

// readIgnore reads the file of --ignore-config; the path "" means no file.
func readIgnore(path string) (plan.Patterns, error) {
	if path == "" {
		return nil, nil
	}
	const op = "read ignore patterns"
	in, err := config.Open(op, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := config.ReadAll(op, in, path, plan.MaxIgnoreFile)
	if err != nil {
		return nil, err
	}
	ps, err := plan.ParseIgnoreConfig(raw)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: path, Err: err, Hint: fault.HintOf(err)}
	}
	return slices.Clip(ps), nil
}
