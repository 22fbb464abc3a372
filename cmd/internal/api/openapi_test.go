package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/api"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

func TestTheOpenAPIDocumentThatIsCheckedInIsTheOneOfTheCode(t *testing.T) {
	file := filepath.Join("..", "..", "..", "docs", "openapi.json")
	want, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current: go test ./cmd/internal/api -run OpenAPI -update (%v)", file, err)
	}
}

// Each field that a hint may name is in the document, so that the hint can be followed.
func TestTheDocumentHasEachFieldThatHintsName(t *testing.T) {
	raw, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	w := name.Fields
	for _, called := range []string{
		w.Replace("import"), w.Replace("copy"), w.Backup(), w.Login(fault.Source), w.Login(fault.Target),
		w.SkipBroken(), w.Strict(), w.MaxRepositories(), w.Deep(), w.PlatformOptional(), w.NoReferrers(), w.AnyReferrers(),
		w.SomeReferrers(),
	} {
		field, _, _ := strings.Cut(called, ":")
		field = field[strings.LastIndex(field, ".")+1:]
		if !strings.Contains(string(raw), strconv.Quote(field)+": {") {
			t.Errorf("no field %s in the document", field)
		}
	}
}

// A number has both ends of its range in the document, and one beyond them is refused by the name of its field.
func TestEachNumberOfARequestHasARange(t *testing.T) {
	raw, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Ref              string
		Type             any
		ReadOnly         bool
		Minimum, Maximum *float64
		Properties       map[string]json.RawMessage
		Items            json.RawMessage
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name   string
				Schema schema
			}
			RequestBody struct {
				Content map[string]struct{ Schema json.RawMessage }
			}
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	numbers, seen := 0, map[string]bool{}
	check := func(at string, s schema) {
		if s.Type != "integer" && s.Type != "number" || s.ReadOnly {
			return
		}
		if numbers++; s.Minimum == nil || s.Maximum == nil {
			t.Errorf("%s has no range", at)
		}
	}
	var each func(at string, raw json.RawMessage)
	each = func(at string, raw json.RawMessage) {
		var s schema
		raw = bytes.ReplaceAll(raw, []byte(`"$ref"`), []byte(`"Ref"`))
		if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
			return
		}
		check(at, s)
		if name := path.Base(s.Ref); s.Ref != "" && !seen[name] {
			seen[name] = true
			each(name, doc.Components.Schemas[name])
		}
		for name, p := range s.Properties {
			each(at+"."+name, p)
		}
		each(at+"[]", s.Items)
	}
	for at, methods := range doc.Paths {
		for method, o := range methods {
			for _, p := range o.Parameters {
				check(method+" "+at+" "+p.Name, p.Schema)
			}
			for _, c := range o.RequestBody.Content {
				each(method+" "+at, c.Schema)
			}
		}
	}
	if numbers < 12 {
		t.Errorf("only %d numbers were found", numbers)
	}
}

func TestANumberOutOfItsRangeIsNamedWithItsField(t *testing.T) {
	y := newYard(t, settings{idle: true})
	for _, c := range []struct{ method, path, body, at, within string }{
		{"POST", "/transfers", `{"sources":["src/"],"target":"dst/","selection":{"latest":1000000001}}`, "/selection/latest", "whole number from 0 to 1000000000"},
		{"POST", "/transfers", `{"sources":["src/"],"target":"dst/","selection":{"minTags":-1}}`, "/selection/minTags", "whole number from 0 to 1000000000"},
		{"POST", "/transfers", `{"sources":["src/"],"target":"dst/","selection":{"maxRepositories":1e30}}`, "/selection/maxRepositories", "whole number from 0 to 1000000000"},
		{"POST", "/transfers", `{"sources":["src/"],"target":"dst/","mapping":{"maxDepth":1000000001}}`, "/mapping/maxDepth", "whole number from 0 to 1000000000"},
		{"POST", "/batches", `{"target":"dst","entries":[{"source":"src/a:1","line":1000000001}]}`, "/entries/0/line", "whole number from 0 to 1000000000"},
		{"POST", "/transfers", `{"sources":["src/"],"target":"dst/","selection":{"latest":1.5}}`, "/selection/latest", "whole number from 0 to 1000000000"},
		{"POST", "/transfers", `{"sources":["src/"],"target":"dst/","delaySeconds":-1}`, "/delaySeconds", "number from 0 to 86400"},
		{"GET", "/jobs?limit=501", "", "limit", "whole number from 1 to 500"},
		{"GET", "/jobs/x/items?after=9007199254740994", "", "after", "whole number from 0 to 9007199254740992"},
	} {
		resp, text := y.ask("ann", c.method, c.path, c.body)
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "expected a "+c.within+" ("+c.at+")") {
			t.Errorf("%s %s %s: %s %s", c.method, c.path, c.body, resp.Status, text)
		}
	}
}

func TestTheDocumentSaysWhatIsAnsweredToWhatTheServerDoesNotKnow(t *testing.T) {
	y := newYard(t, settings{idle: true})
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/nothing", "", http.StatusNotFound, "this server has no such path"},
		{"POST", "/imports", `{"source":"src/a:1","target":"dst","color":"red"}`, http.StatusUnprocessableEntity, "/color"},
		{"GET", "/jobs?color=red", "", http.StatusUnprocessableEntity, "color"},
		{"GET", "/registries", "", http.StatusOK, `"name":"dst"`},
	} {
		resp, text := y.ask("ann", c.method, c.path, c.body)
		if resp.StatusCode != c.status || !strings.Contains(text, c.says) || c.status >= 400 && !strings.Contains(text, `"kind":"invalid"`) {
			t.Errorf("%s %s: %s %s", c.method, c.path, resp.Status, text)
		}
	}
	raw, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"Dray-Version"`, `"/registries"`, "A path that the API does not have is answered with 404"} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("the document lacks %s", want)
		}
	}
}
