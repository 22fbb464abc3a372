package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/internal/testbed/tricks"
)

// deceiving is a server each of whose answers is full of tricks. An answer to a path that it does not know is an error
// full of them.
func deceiving(t *testing.T) string {
	t.Helper()
	answers := map[string]any{
		"GET /jobs": &wire.Jobs{}, "GET /workers": &wire.Workers{}, "GET /schedules": &wire.Schedules{},
		"GET /tokens": &wire.Tokens{}, "POST /tokens": &wire.MadeToken{}, "GET /secrets": &wire.Secrets{},
		"GET /audit": &wire.Entries{}, "GET /audit/verification": &wire.Verdict{}, "GET /registries": &wire.Registries{},
		"GET /jobs/X": &wire.Job{}, "GET /jobs/X/log": &wire.Lines{}, "GET /jobs/X/items": &wire.Items{}, "POST /jobs/X/cancel": &wire.Job{},
		"POST /schedules/X/pause": &wire.Schedule{}, "POST /schedules/X/run": &wire.Job{}, "GET /whoami": &wire.Whoami{},
		"POST /imports": &wire.Job{}, "POST /copies": &wire.Job{},
	}
	for _, v := range answers {
		tricks.Fill(v, 9)
		switch v := v.(type) {
		case *wire.Jobs:
			v.Next = ""
		case *wire.Job:
			v.State = wire.Failed
			v.ID = "01HZXXXXXXXXXXXXXXXXXXXXXX"
			v.Request = json.RawMessage(`{"kind":"copy","copy":{"source":"reg.example/a:1","targets":["reg.example/b:1"]}}`)
		case *wire.Entries:
			v.Next = 0
		case *wire.Lines:
			v.Next = 0
		case *wire.Items:
			v.Next = 0
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		path := strings.TrimPrefix(r.URL.Path, "/api/v1")
		for one := range strings.SplitSeq(path, "/") {
			if len(one) == 26 {
				path = strings.Replace(path, one, "X", 1)
			}
		}
		if v := answers[r.Method+" "+path]; v != nil {
			_ = json.NewEncoder(w).Encode(v)
			return
		}
		var p wire.Problem
		tricks.Fill(&p, 9)
		p.Kind = "denied"
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(p)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestNoCommandOfAServerPrintsWhatOthersHaveHiddenInNames(t *testing.T) {
	server := deceiving(t)
	const id = "01HZXXXXXXXXXXXXXXXXXXXXXX"
	for _, command := range []string{
		"jobs list", "jobs show " + id, "jobs logs " + id, "jobs wait " + id, "jobs watch " + id, "jobs cancel " + id, "jobs retry " + id, "workers",
		"schedules list", "schedules pause " + id, "schedules run --no-wait " + id, "schedules resume x", "schedules remove x",
		"serve token list", "serve token create ci --role submitter", "serve token revoke " + id, "serve secret list", "serve secret remove x",
		"serve audit", "serve audit --verify", "copy reg.example/a:1 reg.example/b:1 --no-wait", "import --source reg.example/a:1 -t reg.example/b:1 --no-wait",
	} {
		for _, form := range []string{"text", "table", "tsv", "json"} {
			var out, err bytes.Buffer
			args := append(strings.Fields(command), "-o", form, "--server", server, "--verbose")
			code := program(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv, Home: t.TempDir()})
			if code == 2 {
				t.Errorf("%s -o %s: %s", command, form, &err)
			}
			tricks.Check(t, command+" -o "+form, out.String())
			tricks.Check(t, command+" -o "+form+" on stderr", err.String())
			if form == "json" && code == 0 && !json.Valid(out.Bytes()) && !eachValid(out.Bytes()) {
				t.Errorf("%s prints no JSON: %q", command, out.String())
			}
		}
	}
}

// eachValid reports whether each line is JSON.
func eachValid(raw []byte) bool {
	for line := range bytes.Lines(raw) {
		if !json.Valid(line) {
			return false
		}
	}
	return true
}
