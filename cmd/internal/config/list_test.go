package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/fault"
)

func TestAListInTextIsReadHoweverItWasSaved(t *testing.T) {
	want := []Entry{
		{Source: "nginx:1.25", Targets: []string{"web:1"}, Line: 2},
		{Source: "redis", Line: 4},
		{Source: "a#b", Targets: []string{"c", "d"}, Line: 5},
	}
	const text = "# head\nnginx:1.25 web:1\n\n  redis\t# alone\na#b\tc   d #e\n   # tail"
	for name, in := range map[string]string{
		"as it is": text, "last line end": text + "\n", "CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "byte order mark": "\ufeff" + text,
	} {
		got, err := ReadList(strings.NewReader(in), "list")
		if err != nil || got.Form != Text || len(got.Entries) != 3 {
			t.Fatalf("%s: %+v %v", name, got, err)
		}
		for i, e := range got.Entries {
			if len(e.Targets) == 0 {
				e.Targets = nil
			}
			if !reflect.DeepEqual(e, want[i]) {
				t.Errorf("%s: %+v, want %+v", name, e, want[i])
			}
		}
	}
}

func TestAListInYAMLIsToldByItsNameOrItsBeginning(t *testing.T) {
	want := []Entry{
		{Source: "nginx:1.25", Targets: []string{"web:1"}, Overwrite: "update", Line: 1},
		{Source: "redis", Targets: []string{"a", "b"}, Overwrite: "always", Line: 2},
		{Source: "alpine", Line: 3},
		{Source: "busybox", Overwrite: "refuse", Line: 4},
	}
	const list = "- {source: nginx:1.25, target: web:1, force: true}\n- {source: redis, targets: [a, b], overwrite: always}\n- alpine\n- {source: busybox, force: false}\n"
	for name, in := range map[string]string{
		"stdin": list, "list.yaml": list, "list.YML": "# x\n" + list, "images": "images:\n" + list, "begun": "---\n" + list,
		"json":      `[{"source":"nginx:1.25","target":"web:1","force":true},{"source":"redis","targets":["a","b"],"overwrite":"always"},"alpine",{"source":"busybox","force":false}]`,
		"list.json": `{"images":[{"source":"nginx:1.25","target":"web:1","force":true},{"source":"redis","targets":["a","b"],"overwrite":"always"},"alpine",{"source":"busybox","force":false}]}`,
	} {
		got, err := ReadList(strings.NewReader(in), name)
		if err != nil || got.Form != YAML || len(got.Entries) != len(want) {
			t.Fatalf("%s: %+v %v", name, got, err)
		}
		for i, e := range got.Entries {
			e.Line = want[i].Line
			if !reflect.DeepEqual(e, want[i]) {
				t.Errorf("%s: %+v, want %+v", name, e, want[i])
			}
		}
	}
	for _, empty := range []string{"", "# nothing\n", "\ufeff"} {
		for _, name := range []string{"list", "list.yaml"} {
			if got, err := ReadList(strings.NewReader(empty), name); err != nil || len(got.Entries) != 0 {
				t.Errorf("%q: %+v %v", empty, got, err)
			}
		}
	}
}

func TestAListThatIsWrongIsRefusedWithItsLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"- source: a\n  taget: b", `list:2: invalid: unknown key "taget" (did you mean "target"?)`},
		{"- source: a\n- target: b", `list:2: invalid: the image has no source`},
		{"- source: a\n  target: b\n  targets: [c]", `list:2: invalid: target and targets cannot be combined`},
		{"- source: a\n  force: true\n  overwrite: always", `list:2: invalid: force and overwrite cannot be combined`},
		{"- source: a\n  overwrite: ever", `list:2: invalid: unknown overwrite "ever"`},
		{"- source: a b", `list:1: invalid: a name must not contain spaces: "a b"`},
		{"- nginx web", `list:1: invalid: a name must not contain spaces: "nginx web"`},
		{"- source: a\n  source: b", `list:2: invalid: key "source" appears twice (first in line 1)`},
		{"- [a, b]", `list:1: invalid: an image must be a mapping, found a list`},
		{"- source: a\n  targets: b", `list:2: invalid: targets must be a list, found text`},
		{"- source: a\n  gate: \"\"", `list:2: invalid: gate has no value`},
		{"- source: a\n  platforms: []", `list:2: invalid: platforms has no value`},
		{"- source: a\n  targets: [null]", `list:2: invalid: an item has no value`},
		{"- source: 1.25", `list:1: invalid: source must be text, found a number`},
		{"- &x {source: a}\n- *x", `list:2: invalid: anchors and aliases are not supported`},
		{"images: nginx", `list:1: invalid: images must be a list, found text`},
		{"{sources: [nginx]}", `list:1: invalid: unknown key "sources"`},
		{"- a\n---\n- b", `list:2: invalid: the file has a second YAML document`},
		{"- [", `list:1: invalid: not YAML: did not find expected node content`},
		{"a\n\xffb", `list:2: invalid: not UTF-8 text`},
		{"a\n\n\x00", `list:3: invalid: not UTF-8 text`},
		{"a\n" + strings.Repeat("x", textfile.MaxLine+1), `list:2: invalid: the line is longer than 64 KiB`},
		{"\xff\xfea\x00", `read list list: invalid: the file is UTF-16`},
	} {
		got, err := ReadList(strings.NewReader(tt.in), "list")
		if !fault.Is(err, fault.Invalid) || err.Error() != tt.want || len(got.Entries) != 0 {
			t.Errorf("%.40q: %v, want %s", tt.in, err, tt.want)
		}
	}
}

// endless is a reader without an end, as a pipe may be.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	return copy(b, strings.Repeat("nginx\n", len(b)/6+1)), nil
}

func TestAListOfAHundredThousandLinesIsReadAndAnEndlessOneRefused(t *testing.T) {
	for form, line := range map[Form]string{Text: "registry.example/team/app:v%d target/app:v%d\n", YAML: "- {source: registry.example/team/app:v%d, target: target/app:v%d}\n"} {
		lines := map[Form]int{Text: 100_000, YAML: 20_000}[form]
		var in bytes.Buffer
		for i := range lines {
			fmt.Fprintf(&in, line, i, i)
		}
		got, err := ReadList(&in, "list")
		if err != nil || got.Form != form || len(got.Entries) != lines || got.Entries[lines-1].Targets[0] != fmt.Sprintf("target/app:v%d", lines-1) {
			t.Fatal(form, len(got.Entries), err)
		}
	}
	if _, err := ReadList(endless{}, "list"); err == nil || err.Error() != "read list list: invalid: the file is longer than 64 MiB" {
		t.Error(err)
	}
}

func TestATagMapIsReadFromEveryForm(t *testing.T) {
	want := []Renamed{{"latest", "stable"}, {"1.10", "1.10-production"}}
	for name, in := range map[string]string{
		"text":       "# FROM TO\nlatest\tstable\n\n1.10   1.10-production  # kept\n",
		"CRLF":       "\ufefflatest stable\r\n1.10 1.10-production",
		"yaml":       "latest: stable\n1.10: 1.10-production\n",
		"quoted":     "\"latest\": stable\n'1.10': \"1.10-production\"\n",
		"x.yaml":     "{latest: stable, 1.10: 1.10-production}",
		"json":       "{\n\t\"latest\": \"stable\",\n\t\"1.10\": \"1.10-production\"\n}\n",
		"list":       "latest: [stable]\n1.10:\n  - 1.10-production\n",
		"begun.yaml": "---\nlatest: stable\n1.10: 1.10-production\n",
	} {
		if got, err := ReadTagMap(strings.NewReader(in), name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	got, err := ReadTagMap(strings.NewReader(`{"v1": ["a", "b"]}`), "map")
	if err != nil || !reflect.DeepEqual(got, []Renamed{{"v1", "a"}, {"v1", "b"}}) {
		t.Error(got, err)
	}
	for _, tt := range []struct{ in, want string }{
		{"a b\na c", `map:2: invalid: tag "a" appears twice (first in line 1)`},
		{"a: b\nc: d\na: e", `map:3: invalid: tag "a" appears twice (first in line 1)`},
		{"{\"a\": \"b\",\n \"a\": \"c\"}", `map:2: invalid: tag "a" appears twice (first in line 1)`},
		{"a b c", `map:1: invalid: a line must have a tag and its new name, but has 3 words`},
		{"a -> b", `map:1: invalid: a line must have a tag and its new name, but has 3 words`},
		{"\n\na", `map:3: invalid: a line must have a tag and its new name, but has 1 words`},
		{"a:", `map:1: invalid: the tag has no value`},
		{"a: {b: c}", `map:1: invalid: must be a tag, found a mapping`},
		{"[a]", `map:1: invalid: the map must be a mapping, found a list`},
	} {
		if got, err := ReadTagMap(strings.NewReader(tt.in), "map"); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

func FuzzReadList(f *testing.F) {
	for _, seed := range []string{"nginx:1.25 web:1 # x\r\nredis", "\ufeff- {source: a, target: b, force: true}", "images:\n  - a\n", "[\"a\", {\"source\":\"b\"}]", "a\tb\tc", "- &x a\n- *x", "--- 1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ReadList(bytes.NewReader(data), "list")
		if err != nil {
			if !fault.Is(err, fault.Invalid) || len(l.Entries) > 0 {
				t.Fatal(l, err)
			}
			return
		}
		var out bytes.Buffer
		if err := l.Write(&out, func(i int) string { return string(data) }); err != nil {
			t.Fatal(err)
		}
		again, err := ReadList(bytes.NewReader(out.Bytes()), "list")
		if len(l.Entries) == 0 {
			return
		}
		if err != nil || len(again.Entries) != len(l.Entries) || again.Form != l.Form {
			t.Fatalf("%+v became %+v %v\n%s", l, again, err, out.String())
		}
		for i, e := range l.Entries {
			a := again.Entries[i]
			if e.Source != a.Source || strings.Join(e.Targets, " ") != strings.Join(a.Targets, " ") || e.Overwrite != a.Overwrite {
				t.Fatalf("%+v became %+v\n%s", e, a, out.String())
			}
		}
	})
}
