package access

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

func TestNothingIsAllowedButWhatARuleGrants(t *testing.T) {
	a := open(t, Config{Rules: []Rule{
		{Principals: []string{"ci"}, Verbs: []string{"import", "copy"}, Sources: []string{"docker.io/library/**"}, Targets: []string{"prod.example/team/**"}, Rights: []string{Create}},
		{Principals: []string{"ci"}, Verbs: []string{"import"}, Sources: []string{"prod.example/base/**"}, Targets: []string{"prod.example/team/**"}, Rights: []string{Create, Mount}},
		{Principals: []string{"ops-*"}, Verbs: []string{"*"}, Sources: []string{"**"}, Targets: []string{"**"}, Rights: []string{Create, Overwrite}},
		{Principals: []string{"*"}, Verbs: []string{"list"}, Sources: []string{"prod.example/*"}},
		{Principals: []string{"*"}, Verbs: []string{"registries"}},
	}})
	ci := Principal{Name: "ci", Role: Submitter}
	const from, to = "docker.io/library/nginx", "prod.example/team/nginx"
	for _, tt := range []struct {
		p    Principal
		ask  Ask
		want bool
	}{
		{ci, Ask{"import", from, to, Create}, true},
		{ci, Ask{"import", from, to, ""}, true},
		{ci, Ask{"copy", from, to, Create}, true},
		{ci, Ask{"tag", from, to, Create}, false},
		{ci, Ask{"import", from, to, Overwrite}, false},
		{ci, Ask{"import", from, to, Mount}, false},
		{ci, Ask{"import", from, to, Delete}, false},
		{ci, Ask{"import", from, to, "everything"}, false},
		{ci, Ask{"import", "prod.example/base/go", to, Mount}, true},
		{ci, Ask{"import", "docker.io/other/nginx", to, Create}, false},
		{ci, Ask{"import", from, "prod.example/teams/nginx", Create}, false},
		{ci, Ask{"import", from, "prod.example/team", Create}, false},
		{ci, Ask{"import", from, "prod.example:5000/team/nginx", Create}, false},
		{ci, Ask{"import", "evil.example/docker.io/library/x", to, Create}, false},
		{ci, Ask{"import", from + "\nx", "x\n" + to, Create}, false},
		{ci, Ask{"list", "prod.example/app", "", ""}, true},
		{ci, Ask{"list", "prod.example/a/b", "", ""}, false},
		{ci, Ask{"list", "prod.example/app", to, ""}, false},
		{ci, Ask{"registries", "", "", ""}, true},
		{ci, Ask{"registries", "prod.example/app", "", ""}, false},
		{Principal{Name: "ci", Role: Reader}, Ask{"import", from, to, Create}, false},
		{Principal{Name: "ci", Role: Reader}, Ask{"import", from, to, ""}, true},
		{Principal{Name: "ci2", Role: Submitter}, Ask{"import", from, to, Create}, false},
		{Principal{Name: "ops-anna", Role: Submitter}, Ask{"import", "x.example/a", "y.example/b", Overwrite}, true},
		{Principal{Name: "ops-anna", Role: Submitter}, Ask{"import", "x.example/a", "y.example/b", Mount}, false},
		{Principal{Name: "ops", Role: Submitter}, Ask{"import", "x.example/a", "y.example/b", Create}, false},
		{Principal{Name: "root", Role: Admin}, Ask{"anything", "x.example/a", "y.example/b", Delete}, true},
		{Principal{Name: "root", Role: Admin}, Ask{"anything", "x.example/a", "y.example/b", "everything"}, false},
		{Principal{Name: "ci", Role: "root"}, Ask{"list", "prod.example/app", "", ""}, false},
		{Principal{Role: Admin}, Ask{Verb: "list"}, false},
		{Principal{}, Ask{}, false},
		{Principal{Name: Anonymous, Role: Reader}, Ask{"list", "prod.example/app", "", ""}, false},
	} {
		err := a.Allow(tt.p, tt.ask)
		if (err == nil) != tt.want || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%+v %+v: %v", tt.p, tt.ask, err)
		}
	}
	if err := open(t, Config{}).Allow(ci, Ask{Verb: "list", Source: "a.example/b"}); !fault.Is(err, fault.Denied) {
		t.Error("without rules", err)
	}
}

func TestRulesThatMakeNoSenseAreRefusedWithTheirPlace(t *testing.T) {
	for _, r := range []Rule{
		{Principals: []string{""}, Where: "c.yaml:7"}, {Targets: []string{"a\x00"}, Where: "c.yaml:7"}, {Sources: []string{"\xff"}, Where: "c.yaml:7"},
		{Rights: []string{"all"}, Where: "c.yaml:7"},
	} {
		_, err := Open(t.Context(), Config{DB: database(t), Vault: testVault(t), Rules: []Rule{r}})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "c.yaml:7") {
			t.Errorf("%+v: %v", r, err)
		}
	}
	_, err := Open(t.Context(), Config{DB: database(t), Vault: testVault(t), Roles: map[string]Role{"a": "root"}})
	wantKind(t, err, fault.Invalid)
}

// globs is a second implementation of the patterns, without regular expressions.
func globs(glob, s []rune, slash bool) bool {
	if len(glob) == 0 {
		return len(s) == 0
	}
	if glob[0] == '*' {
		n := 1
		for n < len(glob) && glob[n] == '*' {
			n++
		}
		for i := 0; i <= len(s); i++ {
			if globs(glob[n:], s[i:], slash) {
				return true
			}
			if i < len(s) && s[i] == '/' && n == 1 && slash {
				return false
			}
		}
		return false
	}
	if len(s) == 0 || glob[0] == '?' && s[0] == '/' || glob[0] != '?' && glob[0] != s[0] {
		return false
	}
	return globs(glob[1:], s[1:], slash)
}

func FuzzPatternsMeanWhatTheDocumentationSays(f *testing.F) {
	f.Add("docker.io/library/**", "docker.io/library/nginx")
	f.Add("a/*/c", "a/b/c")
	f.Add("*.example/?", "x.example/y")
	f.Add(`a\b[c]{d}(e)|f^$.+`, `a\b[c]{d}(e)|f^$.+`)
	f.Add("***", "a\n/b")
	f.Fuzz(func(t *testing.T, glob, s string) {
		if len(glob) > 24 || len(s) > 24 || strings.Count(glob, "*") > 6 || !utf8.ValidString(glob) || !utf8.ValidString(s) || strings.ContainsRune(glob, 0) || glob == "" {
			return
		}
		got := regexp.MustCompile(expression(glob, "[^/]*")).MatchString(s)
		if want := globs([]rune(glob), []rune(s), true); got != want {
			t.Errorf("%q on %q: %t, want %t", glob, s, got, want)
		}
		got = regexp.MustCompile(expression(glob, ".*")).MatchString(s)
		if want := globs([]rune(glob), []rune(s), false); got != want {
			t.Errorf("%q on the principal %q: %t, want %t", glob, s, got, want)
		}
	})
}

func TestARefusalNamesTheRuleThatIsMissing(t *testing.T) {
	a := open(t, Config{})
	p := Principal{Name: "ci", Role: Submitter}
	err := a.Allow(p, Ask{Verb: "import", Source: "docker.io/library/nginx", Target: "prod.example/nginx", Write: Create})
	const want = "ci may not import (create) from docker.io/library/nginx to prod.example/nginx: denied: no rule grants " +
		"{principals: [ci], verbs: [import], sources: [docker.io/library/nginx], targets: [prod.example/nginx], rights: [create]}"
	if err == nil || err.Error() != want || fault.HintOf(err) != "ask an admin to add this rule below server.policy" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	err = a.Allow(p, Ask{Verb: "list"})
	if err == nil || !strings.HasSuffix(err.Error(), "no rule grants {principals: [ci], verbs: [list]}") {
		t.Error(err)
	}
}
