package migrate_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// idleRules are selections of src that match nothing, each with a part of its note.
func idleRules() map[string]struct {
	source string
	words  plan.Words
	note   string
} {
	type rule = struct {
		source string
		words  plan.Words
		note   string
	}
	return map[string]rule{
		"include":             {words: plan.Words{IncludeRepositories: []string{"team/*", "tool*", "taem/*"}}, note: `include "taem/*" matches no repository of 3; similar: team`},
		"include of nothing":  {words: plan.Words{IncludeRepositories: []string{"zzzzzz"}}, note: "none of the 3 repositories of the sources is selected"},
		"expression":          {words: plan.Words{IncludeRepositories: []string{"tool", "re:x+"}}, note: `include "re:x+" matches no repository of 3`},
		"letters":             {words: plan.Words{Letters: "x-z"}, note: `letters "x-z" matches no repository of 3`},
		"exclude of all":      {words: plan.Words{ExcludeRepositories: []string{"*"}}, note: "none of the 3 repositories of the sources is selected"},
		"tags":                {words: plan.Words{IncludeTags: []string{"v1", "latst"}}, note: `include-tags "latst" matches no tag of 4; similar: latest`},
		"versions":            {words: plan.Words{Versions: ">=9"}, note: "none of the 4 tags of the sources is selected"},
		"exclude of all tags": {words: plan.Words{ExcludeTags: []string{"*"}}, note: "none of the 4 tags of the sources is selected"},
		"exclude":             {words: plan.Words{ExcludeRepositories: []string{"team/weeb", "tool"}}, note: `exclude "team/weeb" matches no repository of 3; similar: team/web`},
		"ignore":              {words: plan.Words{Ignore: []string{"taem/*, tool"}}, note: `ignore-pattern "taem/*" matches no repository of 3; similar: team`},
		"ignore many":         {words: plan.Words{Ignore: []string{"a,b,c,d,tool"}}, note: `ignore-pattern: 4 rules match no repository of 3, such as "a"`},
		"exclude tags":        {words: plan.Words{ExcludeTags: []string{"v1", "latst"}}, note: `exclude-tags "latst" matches no tag of 4; similar: latest`},
		"prefix":              {source: "src/taem/", note: "lists no repository below taem/; similar: team/"},
	}
}

func TestARuleThatMatchesNothingIsToldWithTheNearestNames(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team/api", "v1")
	y.Tagged("team/web", "v1", "latest")
	y.Tagged("tool", "v1")
	sum, err := y.PlanTransfer(t.Context(), dray.TransferRequest{Sources: []string{"dst"}, Target: "src"}, nil, func(dray.RepositoryPlan) error { return nil })
	if want := y.Dst.Host + " lists no repository"; err != nil || !slices.Equal(sum.Notes, []string{want}) {
		t.Errorf("an empty registry: %v, notes %q", err, sum.Notes)
	}
	for name, c := range idleRules() {
		t.Run(name, func(t *testing.T) {
			sel, err := c.words.Selection(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			req := dray.TransferRequest{Sources: []string{"src"}, Target: "dst/x/", Selection: sel}
			if c.source != "" {
				req.Sources = []string{c.source}
			}
			told := func(notes []string) bool {
				return slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, c.note) })
			}
			sum, err := y.PlanTransfer(t.Context(), req, nil, func(dray.RepositoryPlan) error { return nil })
			if err != nil || !told(sum.Notes) {
				t.Errorf("plan: %v, notes %q", err, sum.Notes)
			}
			if receipt, err := y.Verify(t.Context(), dray.VerifyRequest{Of: req}, nil, func(dray.VerifyEntry) error { return nil }); err != nil || !told(receipt.Notes) {
				t.Errorf("verify: %v, notes %q", err, receipt.Notes)
			}
			req.Selection.RequireMatch = true
			if _, _, err := y.Transferred(req); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), c.note) {
				t.Errorf("required: %v", err)
			}
		})
	}
}

func TestSourcesWithoutTagsAreToldAndAreNoMatch(t *testing.T) {
	empty := hostile.Status(http.StatusOK, nil, `{"tags":null}`).On(http.MethodGet, testbed.Tags)
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), empty)
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1")
	layouts := t.TempDir() + "/"
	for _, c := range []struct{ source, target, note string }{
		{"src", "dst", "the sources have no tags"},
		{"src/app", "dst/app", "the sources have no tags"},
		{"oci:" + layouts, "dst", "oci:" + layouts + " has no image"},
	} {
		req := dray.TransferRequest{Sources: []string{c.source}, Target: c.target}
		if _, sum, err := y.Transferred(req); err != nil || !slices.Contains(sum.Notes, c.note) {
			t.Errorf("%s: %v, notes %q", c.source, err, sum.Notes)
		}
		rec, err := y.Verify(t.Context(), dray.VerifyRequest{Of: req}, nil, func(dray.VerifyEntry) error { return nil })
		if err != nil || !slices.Contains(rec.Notes, c.note) {
			t.Errorf("%s: %v, notes %q", c.source, err, rec.Notes)
		}
		req.Selection.RequireMatch = true
		_, _, err = y.Transferred(req)
		_, err2 := y.Verify(t.Context(), dray.VerifyRequest{Of: req}, nil, func(dray.VerifyEntry) error { return nil })
		for _, err := range []error{err, err2} {
			if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), c.note) {
				t.Errorf("%s: %v", c.source, err)
			}
		}
	}
}

func TestMinTagsIsAnErrorIfNoRepositoryIsSelected(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	req := yard.Whole()
	req.Selection.MinTags = 1
	if got, _, err := y.Transferred(req); got != "app:v1 done" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	var err error
	if req.Selection.IncludeRepositories, err = plan.ParsePatterns("ap"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := y.Transferred(req); got != "" || !fault.Is(err, fault.Refused) {
		t.Errorf("%s %v", got, err)
	}
}

func TestARepositoryThatIsNamedWronglyIsToldWithTheNearestNames(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team/api", "v1")
	for _, req := range []dray.TransferRequest{
		{Sources: []string{"src/team/apl"}, Target: "dst"},
		{Sources: []string{"src"}, Target: "dst", Selection: plan.Selection{Repository: "team/apl"}},
	} {
		_, _, err := y.Transferred(req)
		if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "similar repositories in this registry: team/api" {
			t.Errorf("%v, hint %s", err, fault.HintOf(err))
		}
	}
}

func TestARuleThatRenamesNothingIsTold(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team/api", "v1", "latest")
	rename := func(s string) plan.Renames {
		all, err := plan.ParseRenames([]string{s})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for want, req := range map[string]dray.TransferRequest{
		`map "latst" matches no selected tag of 2; similar: latest`:       {Map: plan.TagMap{Pairs: []plan.Pair{{From: "latst", To: "v9"}, {From: "v1", To: "v2"}}}},
		`rename "latst" matches no selected tag of 2; similar: latest`:    {Map: plan.TagMap{Rename: rename("s/latst/x/")}},
		`rename "^v1" matches no selected tag of 2`:                       {Map: plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "v2"}}, Rename: rename("s/^v1/x/")}},
		`strip "taem" matches no selected repository of 1; similar: team`: {Mapping: plan.Mapping{StripPrefix: "taem"}},
		`rewrite "^team" matches no selected repository of 1`:             {Mapping: plan.Mapping{StripPrefix: "team", Rename: rename("s/^team/x/")}},
	} {
		req.Sources, req.Target = []string{"src"}, "dst/x/"
		sum, err := y.PlanTransfer(t.Context(), req, nil, func(dray.RepositoryPlan) error { return nil })
		if err != nil || !slices.Equal(sum.Notes, []string{want}) {
			t.Errorf("%s: %v, notes %q", want, err, sum.Notes)
		}
		req.Selection.RequireMatch = true
		if _, _, err := y.Transferred(req); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, required: %v", want, err)
		}
	}
	used := dray.TransferRequest{
		Sources: []string{"src"}, Target: "dst/y/",
		Map:     plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "v2"}}, Rename: rename("s/^lat/x/")},
		Mapping: plan.Mapping{StripPrefix: "team/", Rename: rename("s/^api/x/")},
	}
	used.Selection.RequireMatch = true
	if got, sum, err := y.Transferred(used); err != nil || len(sum.Notes) > 0 {
		t.Errorf("rules that match: %s, %v, notes %q", got, err, sum.Notes)
	}
}
