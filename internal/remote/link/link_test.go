package link

import (
	"net/http"
	"strings"
	"testing"
)

func TestLinksAreReadByRelation(t *testing.T) {
	for line, want := range map[string]string{
		`</v2/a/tags/list?last=b&n=2>; rel="next"`: "/v2/a/tags/list?last=b&n=2",
		`<x>;rel=next`: "x",
		`<x>; rel="prev", <y>; title="a"; rel="next"`: "y",
		`<x>; rel="prev",<y>; rel="next"`:             "y",
		`<x>; rel="prev"`:                             "",
		`<x>; rel="last next"`:                        "x",
		`<x>; rel='next'`:                             "x",
		`<x>`:                                         "x",
		`<x>; rel="last"`:                             "",
		`/v2/a/tags/list?last=b; rel="next"`:          "/v2/a/tags/list?last=b",
		`/v2/a/tags/list?last=b`:                      "/v2/a/tags/list?last=b",
		`</v2/a/tags/list?last=b; rel="next"`:         "/v2/a/tags/list?last=b",
		`x>; rel="next"`:                              "x",
		`<>; rel="next"`:                              "",
		`<a,b>; rel="next"`:                           "a,b",
	} {
		if got := Next(http.Header{"Link": {line}}); got != want {
			t.Errorf("%s is parsed as %q, want %q", line, got, want)
		}
	}
}

func FuzzLink(f *testing.F) {
	f.Add(`</v2/a/tags/list?last=b>; rel="next", <x>; rel=prev`)
	f.Add(`<,<;>`)
	f.Add(`a>b; rel="next"`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := Next(http.Header{"Link": {s}}); !strings.Contains(s, got) || strings.Contains(got, ">") {
			t.Errorf("%q of %q", got, s)
		}
	})
}
