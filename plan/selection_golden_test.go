package plan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Each file in testdata/selection holds rules and their input: repositories, the tags of one repository, or
// the inventories of a source and a target. Its last part is the expected result; -update rewrites it.
func TestSelectionsFollowTheGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/selection/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			golden, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := selectionText(t, golden)
			last := &golden.Files[len(golden.Files)-1]
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(golden), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(last.Data) {
				t.Errorf("got\n%s\nwant\n%s", got, last.Data)
			}
		})
	}
}

// asked holds the rules of a golden file.
type asked struct {
	Selection
	Mapping
	ignore    []string
	tags      TagMap
	overwrite Overwrite
	host      string
}

func selectionText(t *testing.T, golden *txtar.Archive) string {
	t.Helper()
	part := map[string]string{}
	for _, f := range golden.Files {
		part[f.Name] = string(f.Data)
	}
	a, err := readRules(part["rules"])
	if err != nil {
		return err.Error() + "\n"
	}
	if a.Ignore, err = ParseIgnore(a.ignore...); err != nil {
		return err.Error() + "\n"
	}
	if raw, ok := part["ignore-config"]; ok {
		ps, err := ParseIgnoreConfig([]byte(raw))
		if err != nil {
			return err.Error() + "\n"
		}
		a.Ignore = append(a.Ignore, ps...)
	}
	var b strings.Builder
	if text, ok := part["repositories"]; ok {
		a.showRepositories(&b, strings.Fields(text))
	}
	if text, ok := part["tags"]; ok {
		_, why, err := a.Selection.Tags(context.Background(), "app", listed(text))
		b.WriteString(why.String())
		fmt.Fprintf(&b, "needs times: %v\n", a.NeedsTimes())
		if err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	if text, ok := part["source"]; ok {
		a.showPlan(&b, inventory(text), inventory(part["target"]))
	}
	return b.String()
}

func (a asked) showRepositories(b *strings.Builder, all []string) {
	kept, why, err := a.Repositories(context.Background(), all)
	b.WriteString(why.String())
	if err != nil {
		fmt.Fprintln(b, err)
		return
	}
	if a.MaxRepositories > 0 {
		_, why, err = a.Limit(context.Background(), kept)
		b.WriteString(why.String())
		if err != nil {
			fmt.Fprintln(b, err)
		}
	}
}

// showPlan plans all landings, one after another.
func (a asked) showPlan(b *strings.Builder, src, dst Inventory) {
	var repos []ref.Repo
	for n := range src {
		repos = append(repos, n.Repo)
	}
	landings, err := a.Landings(context.Background(), a.host, repos)
	if err != nil {
		fmt.Fprintln(b, err)
	}
	for _, l := range landings {
		fmt.Fprintf(b, "%s from %v\n", l.To, l.From)
		mine := Inventory{}
		for n, d := range src {
			if slices.Contains(l.From, n.Repo) {
				mine[n] = d
			}
		}
		steps, err := l.Make(context.Background(), mine, dst, a.overwrite, a.tags)
		if err != nil {
			fmt.Fprintln(b, " ", err)
		}
		for _, s := range steps {
			// Shorten the digests, whose zeros would only make the file harder to read.
			fmt.Fprintln(b, " ", strings.ReplaceAll(s.Describe(), strings.Repeat("0", 63), "…"))
		}
	}
}

func listed(text string) (tags []oci.Listed) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		tag := oci.Listed{Tag: words[0], Descriptor: oci.Descriptor{Digest: digest(words[1])}}
		if len(words) > 2 {
			at, err := time.Parse(time.DateOnly, words[2])
			if err != nil {
				panic(err)
			}
			tag.Updated = at
		}
		tags = append(tags, tag)
	}
	return tags
}

func readRules(text string) (a asked, err error) {
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err := a.rule(word, rest); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *asked) rule(word, rest string) (err error) {
	pattern := func(ps *Patterns) {
		var p Pattern
		p, err = ParsePattern(rest)
		*ps = append(*ps, p)
	}
	switch word {
	case "repository":
		a.Repository = rest
	case "letters":
		a.Letters, err = ParseLetters(rest)
	case "ignore":
		a.ignore = append(a.ignore, rest)
	case "include-repository":
		pattern(&a.IncludeRepositories)
	case "exclude-repository":
		pattern(&a.ExcludeRepositories)
	case "max-repositories":
		a.MaxRepositories, err = strconv.Atoi(rest)
	case "include":
		pattern(&a.IncludeTags)
	case "exclude":
		pattern(&a.ExcludeTags)
	case "versions":
		a.Versions, err = ParseVersions(rest)
	case "since":
		a.Since, err = time.Parse(time.DateOnly, rest)
	case "latest":
		a.Latest, err = strconv.Atoi(rest)
	case "order":
		a.Order, err = ParseOrder(rest)
	case "min-tags":
		a.MinTags, err = strconv.Atoi(rest)
	default:
		return a.mapping(word, rest)
	}
	return err
}

func (a *asked) mapping(word, rest string) (err error) {
	switch word {
	case "strip-prefix":
		a.StripPrefix = rest
	case "add-prefix":
		a.AddPrefix = rest
	case "rename", "rename-tag":
		var s Substitution
		s, err = ParseSubstitution(rest)
		if word == "rename" {
			a.Mapping.Rename = append(a.Mapping.Rename, s)
		} else {
			a.tags.Rename = append(a.tags.Rename, s)
		}
	case "template":
		a.Template = rest
	case "flatten":
		a.Flatten = true
	case "max-depth":
		a.MaxDepth, err = strconv.Atoi(rest)
	case "overwrite":
		a.overwrite = Overwrite(rest)
	case "to":
		a.host = rest
	default:
		panic("rules: " + word)
	}
	return err
}
