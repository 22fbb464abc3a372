package plan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// doubling makes a name twice as long with each of its substitutions.
func doubling(t *testing.T) Renames {
	t.Helper()
	all, err := ParseRenames(slices.Repeat([]string{"s/^(.*)$/$1$1/"}, 40))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestANameThatGrowsIsRefusedBeforeItIsMade(t *testing.T) {
	all := doubling(t)
	from := ref.Repo{Host: "a.io", Path: "team/app"}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, tagErr := TagMap{Rename: all}.Targets("v1")
	_, landErr := Mapping{Rename: all}.Landings(t.Context(), "t.io", []ref.Repo{from})
	steps, err := Landing{To: from, From: []ref.Repo{from}}.Merge(t.Context(), Inventory{from.Tagged("v1"): {Digest: oci.Sum([]byte("a"))}},
		nil, Merge{Overwrite: Update, Tags: TagMap{Rename: all}})
	runtime.ReadMemStats(&after)
	if err != nil || len(steps) != 1 || steps[0].Action != Broken || steps[0].Problem.Kind != fault.Invalid {
		t.Errorf("%+v, %v", steps, err)
	}
	for _, err := range []error{tagErr, landErr} {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `the substitution of "^(.*)$" by "${1}${1}"`) ||
			len(err.Error()) > 500 {
			t.Errorf("%v", err)
		}
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
		t.Errorf("%d bytes are allocated for three errors", made)
	}
}

func TestAChainMayMakeALongNameShorter(t *testing.T) {
	all, err := ParseRenames([]string{"s/^aa//", "s/^a+$/v1/"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := all.Apply(strings.Repeat("a", 200), ref.MaxTag); got != "v1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOtherRulesOfAMappingDoNotGrowAPathEither(t *testing.T) {
	from := ref.Repo{Host: "a.io", Path: strings.Repeat("a", 200)}
	for _, m := range []Mapping{
		{Template: strings.Repeat("{repository}", 300)}, {AddPrefix: strings.Repeat("a", 100)},
		{Template: strings.Repeat("a", MaxPattern+1)}, {AddPrefix: strings.Repeat("a", MaxPattern+1)},
	} {
		if _, err := m.Repo("t.io", from); !fault.Is(err, fault.Invalid) || len(err.Error()) > 600 {
			t.Errorf("%.200v", err)
		}
	}
}

func TestListsOfRulesAreBounded(t *testing.T) {
	if _, err := ParseRenames(slices.Repeat([]string{"s/a/b/"}, MaxRenames+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := ParseRenames(slices.Repeat([]string{"s/(?:a?){999}/b/"}, 20)); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := ParseLetters(strings.Repeat("a,", MaxPattern)); !fault.Is(err, fault.Invalid) || len(err.Error()) > 500 {
		t.Errorf("%v", err)
	}
	large := slices.Repeat([]string{"re:" + strings.Repeat("x?", 2000)}, 100)
	if _, err := ParsePatterns(large...); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	var names []string // such as a retry of many tags has
	for i := range 50_000 {
		names = append(names, fmt.Sprintf("v1.2.%d", i))
	}
	if ps, err := ParsePatterns(names...); err != nil || len(ps) != len(names) {
		t.Errorf("%v", err)
	}
}

// Each of these loops over names of others, with rules of others. The context ends before the loop, so a loop that does
// not ask it would find a result.
func TestACanceledContextEndsEachLoop(t *testing.T) {
	stop := errors.New("somebody canceled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	repo := ref.Repo{Host: "a.io", Path: "app"}
	tags := []oci.Listed{{Tag: "v1"}}
	ps, err := ParsePatterns("v*")
	if err != nil {
		t.Fatal(err)
	}
	sel := Selection{IncludeTags: ps, IncludeRepositories: ps, Since: time.Unix(1, 0), MaxRepositories: 1}
	inv := Inventory{repo.Tagged("v1"): {Digest: oci.Sum([]byte("a"))}}
	l := Landing{To: ref.Repo{Host: "b.io", Path: "app"}, From: []ref.Repo{repo}}
	for what, run := range map[string]func() error{
		"Repositories": func() error { _, _, err := sel.Repositories(ctx, []string{"v"}); return err },
		"Limit":        func() error { _, _, err := sel.Limit(ctx, []string{"v"}); return err },
		"Candidates":   func() error { _, _, err := sel.Candidates(ctx, "app", tags); return err },
		"Tags":         func() error { _, _, err := sel.Tags(ctx, "app", tags); return err },
		"Loose":        func() error { _, _, err := sel.Loose(ctx, "app", tags); return err },
		"First":        func() error { _, _, err := ps.First(ctx, "v1"); return err },
		"Landings":     func() error { _, err := Mapping{}.Landings(ctx, "t.io", []ref.Repo{repo}); return err },
		"Landing.Make": func() error { _, err := l.Make(ctx, inv, nil, Update, TagMap{}); return err },
		"Merge":        func() error { _, err := l.Merge(ctx, inv, nil, Merge{Overwrite: Update}); return err },
		"Make": func() error {
			_, err := Make(ctx, inv, nil, Rules{Overwrite: Update, Targets: func(n ref.Name) []ref.Name { return []ref.Name{n} }})
			return err
		},
	} {
		if err := run(); !fault.Is(err, fault.Canceled) || !errors.Is(err, stop) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
