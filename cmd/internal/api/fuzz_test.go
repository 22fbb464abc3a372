package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
)

// FuzzRequests sends any body to the operations that create something. The server must accept it or
// refuse it with a Problem, and never answer 5xx. No request goes to a registry before a worker runs
// the job.
func FuzzRequests(f *testing.F) {
	paths := []string{"/imports", "/copies", "/tags", "/batches", "/transfers", "/verifications", "/plans", "/plans/upload", "/schedules", "/tokens", "/jobs/x/retry"}
	for i, body := range []string{
		imports, `{"source":"src/app:v1","targets":["dst/app"],"all":"all"}`, `{"image":"src/app:v1","tags":["x"]}`,
		`{"target":"dst","entries":[{"source":"src/app","targets":["a:b"],"line":3}]}`,
		`{"sources":["src","src/team/"],"target":"dst/x/","selection":{"letters":"a-c","versions":"^1","newerThan":"3d","includeTags":["re:^v"]},"mapping":{"rename":["s/a/b/"],"maxDepth":2},"map":["a=b"]}`,
		`{"sources":["src/app:v1"],"target":"dst/app","depth":"rehash","sample":3}`, `{"transfer":` + transfers + `}`,
		"{\"plan\":1,\"verb\":\"copy\",\"overwrite\":\"update\"}\n", `{"name":"n","cron":"* * * * *","zone":"UTC","request":{"kind":"import","import":` + imports + `}}`,
		`{"principal":"p","role":"reader"}`, `{"sourceLogin":{"user":"u","password":"p"}}`,
	} {
		f.Add(uint8(i), body)
	}
	f.Add(uint8(0), `{"source":"\u0000","map":[null],"tags":null}`)
	f.Add(uint8(0), `[`)
	y := newYard(f, settings{idle: true})
	f.Fuzz(func(t *testing.T, at uint8, body string) {
		r := httptest.NewRequest(http.MethodPost, wire.Prefix+paths[int(at)%len(paths)], strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+y.tokens["root"])
		w := httptest.NewRecorder()
		y.server.Config.Handler.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Errorf("%d for %s %q: %s", w.Code, r.URL.Path, body, w.Body)
		}
		if w.Code != http.StatusNoContent && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d without JSON for %q: %s", w.Code, body, w.Body)
		}
		if n := y.src.Requests() + y.dst.Requests(); n != 0 {
			t.Errorf("%d requests to registries for %q", n, body)
		}
	})
}
