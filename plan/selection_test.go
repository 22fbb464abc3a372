package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/natural"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func patterns(t *testing.T, entries ...string) Patterns {
	t.Helper()
	ps, err := ParsePatterns(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func shuffled[T any](r *rand.Rand, items []T) []T {
	out := slices.Clone(items)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

var someTags = []string{"latest", "1.2", "v1.2", "1.2.3", "1.2.3-rc.1", "01.2", "edge", "b9", "b10", "b010", "2024", "1.2_x", "1.2-alpine"}

func randomTags(r *rand.Rand) (tags []oci.Listed) {
	for range r.IntN(12) {
		tag := oci.Listed{Tag: someTags[r.IntN(len(someTags))], Descriptor: oci.Descriptor{Digest: digest(strconv.Itoa(r.IntN(4)))}}
		if r.IntN(4) > 0 {
			tag.Updated = time.Date(2026, 1, 1+r.IntN(5), 0, 0, 0, 0, time.UTC)
		}
		if r.IntN(4) == 0 {
			tag.Created = time.Date(2026, 1, 1+r.IntN(5), 0, 0, 0, 0, time.UTC)
		}
		tags = append(tags, tag)
	}
	return tags
}

func randomSelection(t *testing.T, r *rand.Rand) Selection {
	t.Helper()
	var s Selection
	if r.IntN(2) == 0 {
		s.IncludeTags = patterns(t, "*1*", "re:b|e|la")
	}
	if r.IntN(2) == 0 {
		s.ExcludeTags = patterns(t, "*-*")
	}
	if r.IntN(4) == 0 {
		var err error
		if s.Versions, err = ParseVersions(">=1.2.0-0"); err != nil {
			t.Fatal(err)
		}
	}
	if r.IntN(3) == 0 {
		s.Since = time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	}
	s.Order = []Order{"", ByVersion, ByTime, ByName}[r.IntN(4)]
	s.Latest = r.IntN(4)
	return s
}

func TestASelectionOfTagsDoesNotDependOnTheOrderOfTheListing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	for range 2000 {
		s, tags := randomSelection(t, r), randomTags(r)
		kept, why, err := s.Tags(t.Context(), "app", tags)
		again, whyAgain, errAgain := s.Tags(t.Context(), "app", shuffled(r, tags))
		if err != nil || errAgain != nil || !reflect.DeepEqual(kept, again) || !reflect.DeepEqual(why, whyAgain) {
			t.Fatalf("%+v\n%v\n%s\n%s", s, err, why, whyAgain)
		}
		checkExplained(t, why, names(kept), names(tags))
		if s.Latest > 0 && len(kept) > s.Latest {
			t.Fatalf("latest %d keeps\n%s", s.Latest, why)
		}
		candidates, _, err := s.Candidates(t.Context(), "app", tags)
		if err != nil {
			t.Fatal(err)
		}
		if rest, _, err := s.Tags(t.Context(), "app", candidates); err != nil || !slices.Equal(names(rest), names(kept)) {
			t.Fatalf("of the candidates %v other tags are kept: %v, not %v (%v)", names(candidates), names(rest), names(kept), err)
		}
	}
}

func names(tags []oci.Listed) (out []string) {
	for _, t := range tags {
		out = append(out, t.Tag)
	}
	return out
}

// checkExplained checks that an explanation matches the names that were kept.
func checkExplained(t *testing.T, why Explain, kept, all []string) {
	t.Helper()
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	var told, keptTold []string
	for _, v := range why.Verdicts {
		told = append(told, v.Name)
		if v.Kept {
			keptTold = append(keptTold, v.Name)
		}
		if v.Rule == "" || (v.Stage == "") != (len(why.Stages) == 0) {
			t.Errorf("%+v has no rule, or no stage", v)
		}
	}
	if !slices.Equal(told, all) || !slices.Equal(keptTold, kept) || why.Total != len(all) {
		t.Errorf("kept %v of %v, but the explanation says:\n%s", kept, all, why)
	}
	left := why.Total
	for _, s := range why.Stages {
		if s.Left > left {
			t.Errorf("%s adds names:\n%s", s.Name, why)
		}
		left = s.Left
	}
	if left != len(kept) {
		t.Errorf("the last stage leaves %d, kept are %d", left, len(kept))
	}
}

func TestASelectionOfRepositoriesDoesNotDependOnTheOrderOfTheListing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	some := []string{"app", "apps/web", "apps/old", "base", "1e", "9to5", "7", "zoo", "zoo/a/b", "Elk"}
	letters := []string{"", "a-c,e", ",", "z", "t-z,b"}
	for range 1000 {
		var all []string
		for range r.IntN(12) {
			all = append(all, some[r.IntN(len(some))])
		}
		l, err := ParseLetters(letters[r.IntN(len(letters))])
		if err != nil {
			t.Fatal(err)
		}
		s := Selection{Letters: l, MaxRepositories: r.IntN(4)}
		if r.IntN(2) == 0 {
			s.Ignore = patterns(t, "*old*")
		}
		if r.IntN(2) == 0 {
			s.IncludeRepositories, s.ExcludeRepositories = patterns(t, "*o*", "app*"), patterns(t, "re:.*o5")
		}
		if r.IntN(5) == 0 {
			s.Repository = some[r.IntN(len(some))]
		}
		kept, why, err := s.Repositories(t.Context(), all)
		again, whyAgain, errAgain := s.Repositories(t.Context(), shuffled(r, all))
		if err != nil || errAgain != nil || !slices.Equal(kept, again) || !reflect.DeepEqual(why, whyAgain) {
			t.Fatalf("%+v\n%v\n%s\n%s", s, err, why, whyAgain)
		}
		checkExplained(t, why, kept, all)
		few, why, err := s.Limit(t.Context(), shuffled(r, kept))
		if err != nil {
			t.Fatal(err)
		}
		checkExplained(t, why, few, kept)
		if s.MaxRepositories > 0 && len(few) != min(len(kept), s.MaxRepositories) || !slices.Equal(few, kept[:len(few)]) {
			t.Fatalf("limit %d of %v: %v", s.MaxRepositories, kept, few)
		}
	}
}

func TestTheZeroSelectionKeepsAll(t *testing.T) {
	kept, why, err := Selection{}.Repositories(t.Context(), []string{"b", "a"})
	if err != nil || !slices.Equal(kept, []string{"a", "b"}) || len(why.Stages) != 0 {
		t.Errorf("%v, %v\n%s", kept, err, why)
	}
	if (Selection{}).NeedsTimes() || (Selection{Latest: 2}).NeedsTimes() || !(Selection{Latest: 2, Order: ByTime}).NeedsTimes() {
		t.Error("NeedsTimes is true without need, or false although times are needed")
	}
}

func TestATagThatIsListedTwiceCountsAsItWasSetLast(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	tags := []oci.Listed{
		{Tag: "a", Descriptor: oci.Descriptor{Digest: digest("1")}, Updated: day(1)},
		{Tag: "a", Descriptor: oci.Descriptor{Digest: digest("2")}, Updated: day(3)},
		{Tag: "a", Descriptor: oci.Descriptor{Digest: digest("3")}, Created: day(2)},
		{Tag: "a", Descriptor: oci.Descriptor{Digest: digest("4")}},
	}
	kept, _, err := Selection{Since: day(3)}.Tags(t.Context(), "app", tags)
	if err != nil || len(kept) != 1 || kept[0].Descriptor.Digest != digest("2") {
		t.Errorf("%v, %v", kept, err)
	}
}

func TestTooFewTagsAreRefusedAndExplained(t *testing.T) {
	_, why, err := Selection{MinTags: 1}.Tags(t.Context(), "app", nil)
	if !fault.Is(err, fault.Refused) || why.Of != "app" {
		t.Errorf("%v, %v", err, why)
	}
	if _, _, err := (Selection{Order: "size"}).Tags(t.Context(), "app", nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown order: %v", err)
	}
}

func TestAgesAreReadInDaysWeeksAndDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := ParseAge(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "90", "-1d", "0d", "0s", "1.5d", "999999d", "2147483647w", "99999999999999d", "1y", "1d12h"} {
		if got, err := ParseAge(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

func TestBadRangesAndOrdersAreInvalid(t *testing.T) {
	for _, s := range []string{"latest", ">=", "1.2.3.4", "^", strings.Repeat("1", MaxPattern+1)} {
		if _, err := ParseVersions(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
	if _, err := ParseOrder("newest"); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if v, err := ParseVersions(" "); err != nil || !v.Match("latest") {
		t.Errorf("a blank range: %v", err)
	}
}

func TestARangeSelectsWhatIsAVersionInIt(t *testing.T) {
	for tag, want := range map[string]string{
		"1.25": "in", "v1.25": "in", "1.25.3": "in", "1.025.3": "in", "1.25_x": "in", "1.25.0_x.y": "in", "22.04": "out", "1.24.99": "out",
		"1.25-alpine": "out", "1.26.0-rc.1": "out", "1.26.0--": "out", "1": "none", "v1": "none", "20260131": "none", "V1.25": "none",
		"1.2.3.4": "none", "latest": "none", "1.25.": "none", "1.25.x": "none", "x1.25": "none", "99999999999999999999.1": "none", "": "none",
	} {
		v, err := ParseVersions("~1.25 || 1.26")
		if err != nil {
			t.Fatal(err)
		}
		if v.Match(tag) != (want == "in") || strings.HasSuffix(v.why(tag), "not a version") != (want == "none") {
			t.Errorf("%q: %s, want %s", tag, v.why(tag), want)
		}
	}
}

func TestAnExplanationIsJSONWithoutNull(t *testing.T) {
	_, why, err := Selection{}.Tags(t.Context(), "app", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(why)
	if want := `{"of":"app","total":0,"stages":[],"verdicts":[]}`; err != nil || string(raw) != want {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestASelectionIsUsedByManyGoroutines(t *testing.T) {
	s := Selection{ExcludeTags: patterns(t, `re:(.)\1`, "x*")}
	tags := []oci.Listed{{Tag: "aa"}, {Tag: "ab"}, {Tag: "x"}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if kept, _, err := s.Tags(t.Context(), "app", tags); err != nil || len(kept) != 1 {
					t.Errorf("%v, %v", kept, err)
				}
			}
		})
	}
	wg.Wait()
}

func ExampleSelection_Tags() {
	include, _ := ParsePatterns("v*")
	s := Selection{IncludeTags: include, Latest: 1}
	_, why, _ := s.Tags(context.Background(), "app", []oci.Listed{{Tag: "v1.9.0"}, {Tag: "v1.10.0"}, {Tag: "nightly"}})
	fmt.Print(why)
	// Output:
	// app: 3 found, 2 left after include, 1 left after latest
	//   drop  nightly  no include pattern matches it
	//   keep  v1.10.0  latest 1 by version: place 1
	//   drop  v1.9.0   latest 1 by version: place 2
}

func TestNaturalOrderIsAnOrder(t *testing.T) {
	want := []string{"", "1", "1a", "2", "10", "b", "b1", "b9", "b010", "b10", "b10a", "v1.9", "v1.10"}
	if got := slices.SortedFunc(slices.Values(shuffled(rand.New(rand.NewPCG(1, 1)), want)), natural.Compare); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	r := rand.New(rand.NewPCG(4, 3))
	random := func() string {
		b := make([]byte, r.IntN(5))
		for i := range b {
			b[i] = "019a-z"[r.IntN(6)]
		}
		return string(b)
	}
	for range 20000 {
		a, b, c := random(), random(), random()
		if natural.Compare(a, b) != -natural.Compare(b, a) || (natural.Compare(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q", a, b)
		}
		if natural.Compare(a, b) < 0 && natural.Compare(b, c) < 0 && natural.Compare(a, c) >= 0 {
			t.Fatalf("%q, %q, %q", a, b, c)
		}
	}
}

func TestLandingsDoNotDependOnOrderAndHoldEachSourceOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		var from []ref.Repo
		for range r.IntN(10) {
			parts := []string{"a", "b", "a-b", "team"}
			path := parts[r.IntN(4)]
			for range r.IntN(4) {
				path += "/" + parts[r.IntN(4)]
			}
			from = append(from, ref.Repo{Host: []string{"x.io", "y.io"}[r.IntN(2)], Path: path})
		}
		m := Mapping{Flatten: r.IntN(2) == 0, MaxDepth: r.IntN(4), AddPrefix: []string{"", "p", "p/q/"}[r.IntN(3)]}
		landings, err := m.Landings(t.Context(), "t.io", from)
		again, errAgain := m.Landings(t.Context(), "t.io", shuffled(r, from))
		if err != nil || errAgain != nil || !reflect.DeepEqual(landings, again) {
			t.Fatalf("%+v: %v, %v", landings, again, err)
		}
		seen := map[ref.Repo]bool{}
		for _, l := range landings {
			if m.MaxDepth > 0 && strings.Count(l.To.Path, "/") >= m.MaxDepth {
				t.Fatalf("%+v makes %s", m, l.To)
			}
			for _, f := range l.From {
				if seen[f] {
					t.Fatalf("%s has two landings", f)
				}
				seen[f] = true
			}
		}
		for _, f := range from {
			if !seen[f] {
				t.Fatalf("%s has no landing", f)
			}
		}
	}
}

func TestTheZeroMappingLeavesPathsAsTheyAre(t *testing.T) {
	to, err := Mapping{}.Repo("t.io", ref.Repo{Host: "s.io", Path: "a/b/c"})
	if err != nil || to != (ref.Repo{Host: "t.io", Path: "a/b/c"}) {
		t.Errorf("%v, %v", to, err)
	}
}

func TestAMappingMakesTheseNames(t *testing.T) {
	strip := Mapping{StripPrefix: "team"}
	for _, tt := range []struct {
		m        Mapping
		from, to string // "" is an error
	}{
		{strip, "team/app", "app"},
		{strip, "teams/app", "teams/app"},
		{strip, "x/team/app", "x/team/app"},
		{strip, "team", ""},
		{Mapping{StripPrefix: "team/", AddPrefix: "prod/"}, "team", ""},
		{Mapping{AddPrefix: "a/b/"}, "x", "a/b/x"},
		{Mapping{Flatten: true}, "a/b/c", "a-b-c"},
		{Mapping{MaxDepth: 2}, "a/b/c/d", "a/b-c-d"},
		{Mapping{MaxDepth: 1, AddPrefix: "p"}, "a/b", "p-a-b"},
		{Mapping{MaxDepth: 9}, "a/b", "a/b"},
		{Mapping{Template: "{host}/{name}"}, "a/b", "s.io/b"},
		{Mapping{Template: "fixed"}, "a/b", "fixed"},
		{Mapping{Template: "{repository}-{repository}", Flatten: true}, "a/b", "a-b-a-b"},
		{Mapping{Template: "{x}"}, "a", ""},
		{Mapping{Template: "a{"}, "a", ""},
		{Mapping{Template: "{{name}}"}, "a", ""},
		{Mapping{AddPrefix: "UP"}, "a", ""},
		{Mapping{AddPrefix: strings.Repeat("long/", 60)}, "a", ""},
	} {
		got, err := tt.m.Repo("t.io", ref.Repo{Host: "s.io", Path: tt.from})
		if got.Path != tt.to || fault.Is(err, fault.Invalid) != (tt.to == "") {
			t.Errorf("%+v: %s becomes %q, %v", tt.m, tt.from, got.Path, err)
		}
	}
}

func TestUpToTenNamesThatCanNotBeMappedAreNamed(t *testing.T) {
	var from []ref.Repo
	for i := range 12 {
		from = append(from, ref.Repo{Host: "s.io", Path: fmt.Sprintf("a%02d", i)})
	}
	_, err := Mapping{AddPrefix: "UP"}.Landings(t.Context(), "t.io", from)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "s.io/a09:") || strings.Contains(err.Error(), "s.io/a10:") || !strings.HasSuffix(err.Error(), "and 2 more") {
		t.Errorf("%v", err)
	}
}

func TestALandingLeavesNamesOfOthersAlone(t *testing.T) {
	l := Landing{To: ref.Repo{Host: "t.io", Path: "a"}, From: []ref.Repo{{Host: "s.io", Path: "a"}}}
	src := inventory("s.io/a:1 a\ns.io/b:1 b\n")
	src[l.From[0].At(string(digest("c")))] = oci.Descriptor{Digest: digest("c")}
	steps, err := l.Make(t.Context(), src, nil, Update, TagMap{})
	if err != nil || len(steps) != 2 || steps[0].To != l.To.Tagged("") || steps[1].To != l.To.Tagged("1") {
		t.Errorf("%v, %v", steps, err)
	}
}

func BenchmarkTags(b *testing.B) {
	var tags []oci.Listed
	for i := range 100_000 {
		tags = append(tags, oci.Listed{Tag: fmt.Sprintf("1.%d.%d", i/100, i%100), Updated: time.Unix(int64(i), 0)})
	}
	include, err := ParsePatterns("1.*", "re:v")
	if err != nil {
		b.Fatal(err)
	}
	s := Selection{IncludeTags: include, Latest: 10, Since: time.Unix(50, 0)}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Tags(b.Context(), "app", tags); err != nil {
			b.Fatal(err)
		}
	}
}
