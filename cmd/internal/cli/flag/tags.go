package flag

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/config/text"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// Tags holds the flags that rename tags, and that say whether one tag that fails holds back the others.
type Tags struct {
	Pairs   []string
	File    string
	Renames []string
	all     bool
}

// AddTo adds the flags of verbs that handle many tags.
func (f *Tags) AddTo(flags *pflag.FlagSet) {
	f.addMapTo(flags)
	f.AddHoldTo(flags, "with several tags of a repository: set none unless all can be set "+
		"(default each tag on its own; several names of one image are always all or nothing)")
}

func (f *Tags) addMapTo(flags *pflag.FlagSet) {
	Group(flags, TargetNames, func(set *pflag.FlagSet) {
		set.StringArrayVar(&f.Pairs, "map", nil,
			"rename tags by `FROM=TO`: the tag FROM of the source becomes the tag TO; repeatable")
		set.StringVar(&f.File, "map-file", "",
			"read pairs as for --map from `FILE`: two columns, YAML, or a JSON object")
		set.StringArrayVar(&f.Renames, "rename", nil,
			"rename the tags that no pair names with `s/RE2/TEXT/`; $1 is the first group; repeatable")
	})
}

// AddHoldTo adds the flag that says what a tag that fails means for the others; text is its text.
func (f *Tags) AddHoldTo(flags *pflag.FlagSet, text string) {
	Group(flags, Safety, func(set *pflag.FlagSet) {
		set.BoolVar(&f.all, "all-or-nothing", false, text)
	})
}

// Hold returns the choice of --all-or-nothing.
func (f *Tags) Hold() plan.Hold {
	if f.all {
		return plan.All
	}
	return plan.Each
}

// Read returns the map that the flags describe. Whether it renames to valid tags is checked by the verb.
func (f *Tags) Read(cmd *cobra.Command) (plan.TagMap, error) {
	var m plan.TagMap
	for _, s := range f.Pairs {
		p, err := plan.ParsePair(s)
		if err != nil {
			return m, UsageError(cmd, fmt.Errorf("--map %q: not FROM=TO", s),
				"write a tag of the source and its new name, such as --map v1=stable")
		}
		m.Pairs = append(m.Pairs, p)
	}
	if f.File != "" {
		pairs, err := readMapFile(f.File)
		if err != nil {
			return m, err
		}
		m.Pairs = append(m.Pairs, pairs...)
	}
	var err error
	m.Rename, err = plan.ParseRenames(f.Renames)
	return m, err
}

func readMapFile(path string) ([]plan.Pair, error) {
	in, err := text.Open("read tag map", path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	read, err := config.ReadTagMap(in, path)
	if err != nil {
		return nil, err
	}
	if len(read) == 0 {
		return nil, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "read tag map",
			Name: path,
			Err:  errors.New("the file names no tag"),
			Hint: "write one line for each tag: TAG NEW",
		}
	}
	pairs := make([]plan.Pair, len(read))
	for i, r := range read {
		pairs[i] = plan.Pair(r)
	}
	return pairs, nil
}
