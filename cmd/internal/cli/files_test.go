package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachFileThatCannotBeReadIsNamedWithTheCauseAndTheNextStep(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	contents := map[string]string{
		"empty":   "",
		"binary":  "\x7fELF\x02\x01\x00\xff\xfe",
		"utf16":   "\xff\xfea\x00.\x00i\x00o\x00",
		"badjson": `{"a": `,
		"crlf":    "\ufeff{\"a\": \r\n",
	}
	for name, content := range contents {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(path("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	wants := map[string]string{
		"missing": "no such file or directory",
		"dir":     "is a directory",
		"empty":   "empty",
		"binary":  "not UTF-8 text",
		"utf16":   "UTF-16",
		"badjson": "not YAML",
		"crlf":    "not YAML",
	}
	for _, tt := range []struct {
		args string
		not  map[string]string // other causes; "" means that the file is in order
	}{
		{"batch --name 127.0.0.1:1 -f FILE", map[string]string{"empty": ""}},
		{"mirror -f FILE", map[string]string{"empty": "the file has no rules"}},
		{"mirror validate FILE", map[string]string{"empty": "the file has no rules"}},
		{"config show --config FILE", map[string]string{"empty": ""}},
		{"copy 127.0.0.1:1/a 127.0.0.1:2/a --all-tags --map-file FILE", map[string]string{"empty": "names no tag"}},
		{"transfer 127.0.0.1:1 127.0.0.1:2 --in-use FILE", map[string]string{
			"empty": "names no image", "badjson": "unexpected end of JSON", "crlf": "unexpected end of JSON",
		}},
		{"transfer 127.0.0.1:1 127.0.0.1:2 --ignore-config FILE", map[string]string{
			"badjson": "unexpected end of JSON", "crlf": "unexpected end of JSON",
		}},
		{"apply FILE", map[string]string{
			"binary": "not a plan", "utf16": "not a plan", "badjson": "not a plan", "crlf": "not a plan",
		}},
		{"plan show FILE", map[string]string{
			"binary": "not a plan", "utf16": "not a plan", "badjson": "not a plan", "crlf": "not a plan",
		}},
	} {
		for name, want := range wants {
			if other, has := tt.not[name]; has {
				want = other
			}
			if want == "" {
				continue
			}
			got := run(t, t.Context(), 2, strings.ReplaceAll(tt.args, "FILE", path(name)))
			for _, part := range []string{path(name), want, "(hint: "} {
				if !strings.Contains(got, part) {
					t.Errorf("dray %s of %s has no %q: %s", tt.args, name, part, got)
				}
			}
		}
	}
}
