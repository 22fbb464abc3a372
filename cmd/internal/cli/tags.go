package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// tagFlags say what tags become, and whether one that fails holds back the others.
type tagFlags struct {
	pairs   []string
	file    string
	renames []string
	all     bool
}

// addTo adds the flags of verbs that take many tags.
func (f *tagFlags) addTo(flags *pflag.FlagSet) {
	f.addMapTo(flags)
	flags.StringArrayVar(&f.renames, "rename", nil, "change tags that no map names by `s/RE2/TEXT/`, $1 is the first group; repeatable")
	f.addHoldTo(flags)
}

func (f *tagFlags) addMapTo(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.pairs, "map", nil, "tag `FROM=TO`: the source's tag FROM becomes TO; repeatable")
	flags.StringVar(&f.file, "map-file", "", "read such a map from `FILE`: two columns, YAML, or a JSON object")
}

func (f *tagFlags) addHoldTo(flags *pflag.FlagSet) {
	flags.BoolVar(&f.all, "all-or-nothing", false, "set no tag unless all can be set (default each on its own)")
}

func (f *tagFlags) hold() plan.Hold {
	if f.all {
		return plan.All
	}
	return plan.Each
}

// read makes a map of what the flags say. It is checked for tags by who uses it.
func (f *tagFlags) read(cmd *cobra.Command) (plan.TagMap, error) {
	var m plan.TagMap
	for _, s := range f.pairs {
		p, err := plan.ParsePair(s)
		if err != nil {
			return m, usageError(cmd, fmt.Errorf("--map %q: not FROM=TO", s), "")
		}
		m.Pairs = append(m.Pairs, p)
	}
	if f.file != "" {
		pairs, err := readMapFile(f.file)
		if err != nil {
			return m, err
		}
		m.Pairs = append(m.Pairs, pairs...)
	}
	var err error
	m.Rename, err = plan.ParseRenames(f.renames)
	return m, err
}

func readMapFile(path string) ([]plan.Pair, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read tag map", Name: path, Err: bare(err)}
	}
	defer in.Close()
	read, err := config.ReadTagMap(in, path)
	if err != nil {
		return nil, err
	}
	if len(read) == 0 {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read tag map", Name: path, Err: errors.New("it names no tag")}
	}
	pairs := make([]plan.Pair, len(read))
	for i, r := range read {
		pairs[i] = plan.Pair(r)
	}
	return pairs, nil
}

// splitTags reads values of --tags: commas part them, blanks around one do not matter.
func splitTags(cmd *cobra.Command, values []string) ([]string, error) {
	var tags []string
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			tag = strings.TrimSpace(tag)
			switch {
			case tag == "":
				return nil, usageError(cmd, fmt.Errorf("--tags %q: an empty tag", v), "")
			case !slices.Contains(tags, tag):
				tags = append(tags, tag)
			}
		}
	}
	return tags, nil
}

// unused says which tags of a map the source does not have: a map of old names is easily out of date.
func unused(m plan.TagMap, steps []plan.Step) string {
	there := map[string]bool{}
	for _, s := range steps {
		there[s.From.Tag] = true
	}
	gone := slices.DeleteFunc(m.Keys(), func(tag string) bool { return there[tag] })
	if len(gone) == 0 {
		return ""
	}
	return "the map names tags that the source does not have: " + strings.Join(gone, ", ")
}
