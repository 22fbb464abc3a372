package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// This test sends the requests of docs/api.md as they are written there. It only replaces the names
// of the registries by those of the test.
func TestTheExamplesOfTheDocumentationAreAccepted(t *testing.T) {
	y := newYard(t, settings{idle: true})
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?s)curl -H "\$AUTH" -H (?:"\$J"|'Content-Type: application/json')([^\n]*?) \$DRAY(/[a-z/]+)[ \\\n]+-d '(.*?)'`)
	all := example.FindAllStringSubmatch(string(raw), -1)
	if len(all) < 10 {
		t.Fatalf("found only %d examples: the form of the examples has changed", len(all))
	}
	for _, m := range all {
		method, path, body := http.MethodPost, m[2], m[3]
		if strings.Contains(m[1], "-X PUT") {
			method = http.MethodPut
		}
		for from, to := range map[string]string{`"dev`: `"src`, `"prod`: `"dst`} {
			body = strings.ReplaceAll(body, from, to)
		}
		if resp, text := y.ask("root", method, path, body); resp.StatusCode/100 != 2 {
			t.Errorf("%s %s: %d %s\n%s", method, path, resp.StatusCode, text, body)
		}
	}
	t.Logf("%d examples", len(all))
}
