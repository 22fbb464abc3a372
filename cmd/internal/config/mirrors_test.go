package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/schedule"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func readMirrorText(t *testing.T, text string) (Mirrors, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadMirrors(path)
}

func TestTheExampleOfMirrorsIsReadKeyByKey(t *testing.T) {
	got, err := ReadMirrors(filepath.Join("testdata", "mirrors.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	minutes := Duration(10 * time.Minute)
	both, less := []string{"prod/mirror/", "eu.example:5000/mirror/"}, []string{"*-rc*", "*-alpha*"}
	want := []Mirror{
		{Name: "base-images", Spec: schedule.Spec{Cron: "30 2 * * sun", TimeZone: "Europe/Berlin"}, Jitter: minutes, Images: []string{"nginx:1.25", "docker.io/library/redis:7"},
			Targets: both, Strip: "library", Overwrite: "update", Line: 11},
		{Name: "team", Spec: schedule.Spec{Every: "6h", TimeZone: "Europe/Berlin"}, Jitter: minutes, Sources: []string{"dev/team/", "old.example/team/"}, Targets: []string{"prod/team/"},
			Prefer: []string{"dev"}, Letters: "a-c,e", Ignore: []string{"*/scratch", "re:^tmp"}, Include: []string{"team/*"}, Exclude: []string{"team/private*"}, MaxRepositories: 100,
			IncludeTags: []string{"v*"}, ExcludeTags: less, Semver: ">=1.2", NewerThan: "90d", Latest: 10, LatestBy: "version", MinTags: 1, Untagged: true, RequireMatch: true, CopyLocks: true,
			Rewrite: []string{"s/^team/t/"}, Flatten: true, Template: "{host}/{repository}", Prefix: "from", MaxDepth: 4,
			Map: map[string][]string{"latest": {"stable"}, "1.10": {"v1.10", "1.10-eu"}}, Rename: []string{"s/^v//"},
			Referrers: plan.Referrers{Mode: "sync", Types: []string{"application/spdx+json"}, Annotations: map[string]string{"stage": "released"}},
			Platforms: plan.Platforms{Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}, Form: plan.Sparse, Lacks: plan.Optional},
			Overwrite: "always", Backup: "{tag}-before-{date}", Rehash: true, Delay: 0.5, Line: 16},
		{Name: "by-hand", Spec: schedule.Spec{Cron: "@daily", TimeZone: "Europe/Berlin"}, Paused: true, Sources: []string{"dev/tools"}, Targets: both, ExcludeTags: less, Overwrite: "update", Line: 49},
	}
	for i := range want {
		if !reflect.DeepEqual(got.Rules[i], want[i]) {
			t.Errorf("got  %+v\nwant %+v", got.Rules[i], want[i])
		}
	}
}

// readRule reads the JSON form of a rule as the only rule of a file.
func readRule(t *testing.T, data []byte) (Mirror, error) {
	t.Helper()
	m, err := readMirrorText(t, `{"rules": [`+string(data)+`]}`)
	if err != nil {
		return Mirror{}, err
	}
	rule := m.Rules[0]
	rule.Line = 0
	return rule, nil
}

func TestARuleReadsBackFromItsJSONForm(t *testing.T) {
	m, err := ReadMirrors(filepath.Join("testdata", "mirrors.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range m.Rules {
		data, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		back, err := readRule(t, data)
		rule.Line = 0
		if err != nil || !reflect.DeepEqual(back, rule) {
			t.Errorf("%s\n%v\ngot  %+v\nwant %+v", data, err, back, rule)
		}
	}
	for _, bad := range []string{`{}`, `name: x`, ``, `{"name":"x","sources":["a"],"targets":["b"],"wat":1}`, `[]`} {
		if _, err := readRule(t, []byte(bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTheFirstWrongThingOfMirrorsIsSaidWithItsLine(t *testing.T) {
	const rule = "rules:\n  - name: x\n    source: a\n    target: b\n    "
	for _, c := range []struct{ text, want, hint string }{
		{"", `: invalid: the file has no rules`, "rules:"},
		{"rules: []", `:1: invalid: the file has no rules`, ""},
		{"rule:\n", `:1: invalid: unknown key "rule" (did you mean "rules"?)`, ""},
		{"rules: {a: b}", `:1: invalid: rules must be a list, found a mapping`, ""},
		{"rules:\n  - source: a\n    target: b", `:2: invalid: the rule has no name`, ""},
		{"rules:\n  - name: x\n    target: b", `:2: invalid: "x" has no source`, ""},
		{"rules:\n  - name: x\n    source: a", `:2: invalid: "x" has no target`, ""},
		{"rules:\n  - name: Has Blanks\n", `:2: invalid: not a valid name of a rule: "Has Blanks"`, "lower-case"},
		{rule + "frobnicate: 1", `:5: invalid: unknown key "frobnicate"`, "known keys"},
		{rule + "include_tags: x", `:5: invalid: unknown key "include_tags" (did you mean "include-tags"?)`, ""},
		{rule + "sources: [c]", `:5: invalid: source and sources`, "keep one"},
		{rule + "targets: [c]", `:5: invalid: target and targets cannot be combined`, ""},
		{rule + "every: 6h\n    schedule: '@daily'", `:5: invalid: schedule and every`, ""},
		{rule + "schedule: sometimes", `:5: invalid: read schedule "sometimes": not a schedule`, "crontab"},
		{rule + "every: 10s", `:5: invalid: read schedule "10s": less than a minute`, ""},
		{rule + "time-zone: Mars/Olympus", `:5: invalid: read time zone "Mars/Olympus": not the name of a time zone`, "Europe/Berlin"},
		{rule + "jitter: soon", `:5: invalid: not a duration between 0 and a day: "soon"`, ""},
		{rule + "jitter: 25h", `:5: invalid: not a duration`, ""},
		{rule + "letters: ab", `:5: invalid: `, ""},
		{rule + "include-tags: 're:('", `:5: invalid: `, ""},
		{rule + "semver: one", `:5: invalid: `, ""},
		{rule + "newer-than: 90", `:5: invalid: newer-than must be text, found a number`, "quotes"},
		{rule + "newer-than: soon", `:5: invalid: `, ""},
		{rule + "newer-than: '90'", `:5: invalid: read age "90": not an age`, "36h"},
		{rule + "semver: newest", `:5: invalid: read version range "newest": not a range of versions`, "write a range"},
		{rule + "latest-by: size", `:5: invalid: read latest-by "size": no such order`, "write version, time or name"},
		{rule + "latest: -1", `:5: invalid: latest must be a whole number from 0 to 1000000000, found -1`, ""},
		{rule + "latest-by: age", `:5: invalid: `, ""},
		{rule + "rewrite: x", `:5: invalid: `, ""},
		{rule + "template: '{x}'", `:5: invalid: `, ""},
		{rule + "map: {latest: 'no tag'}", `:5: invalid: `, ""},
		{rule + "map: [a]", `:5: invalid: map must be a mapping, found a list`, ""},
		{rule + "referrers: some", `:5: invalid: read mode of referrers "some": unknown mode`, "use true, false, sync or require"},
		{rule + "referrers: 1", `:5: invalid: referrers must be true, false, sync or require, found a number`, ""},
		{rule + "referrers: {types: []}", `:5: invalid: types has no value`, ""},
		{rule + "referrers: {}", `:5: invalid: referrers chooses nothing`, "remove the key"},
		{rule + "referrers: {mode: false, types: a}", `:5: invalid: choose referrers false: types or annotations are chosen`, ""},
		{rule + "referrers: {annotations: {a: 1}}", `:5: invalid: a must be text, found a number`, "quotes"},
		{rule + "platforms: amd64", `:5: invalid: read platform amd64`, "linux/amd64"},
		{rule + "platforms: {sparse: true}", `:5: invalid: platforms names none`, "remove the key"},
		{rule + "platforms: {only: all, sparse: true}", `:5: invalid: read platforms all: an index is sparse only`, ""},
		{rule + "overwrite: never", `:5: invalid: unknown overwrite "never"`, "one of refuse"},
		{rule + "backup: '{x}'", `:5: invalid: `, ""},
		{rule + "backup: '{tag}-old'\n    overwrite: refuse", `:2: invalid: backup has no effect with overwrite: refuse`, ""},
		{rule + "rehash: true", `:2: invalid: rehash requires overwrite: always`, ""},
		{rule + "delay-seconds: 100000", `:5: invalid: delay-seconds must be a number of seconds from 0 to 86400, found 100000`, ""},
		{rule + "delay-seconds: .nan", `:5: invalid: delay-seconds must be a number from 0 to 1000000000, found .nan`, ""},
		{rule + "delay-seconds: -1", `:5: invalid: delay-seconds must be a number from 0 to 1000000000, found -1`, ""},
		{rule + "latest: 99999999999999999999", `:5: invalid: latest must be a whole number from 0 to 1000000000, found 99999999999999999999`, ""},
		{rule + "images: [nginx]", `:5: invalid: no tag and no digest: "nginx"`, "sources"},
		{rule + "images: []", `:5: invalid: images has no value`, ""},
		{rule + "include: [a, a]", `:5: invalid: "a" appears twice`, ""},
		{"rules:\n  - name: x\n    source: a/b:v1\n    target: b", `:3: invalid: this is the name of one image: "a/b:v1"`, "images:"},
		{"rules:\n  - name: x\n    source: u:" + canary + "@host\n    target: b", `:3: invalid: not a registry, prefix or repository`, "logins"},
		{"rules:\n  - name: x\n    image: a:1\n    target: b\n    latest: 3", `:5: invalid: latest has no effect on images`, ""},
		{"rules:\n  - {name: x, source: a, target: b}\n  - {name: x, source: a, target: b}", `:3: invalid: rule "x" appears twice (first in line 2)`, ""},
		{"defaults: {name: x}\n" + rule, `:1: invalid: unknown key "name"`, ""},
		{"defaults: {source: x}\n" + rule, `:1: invalid: unknown key "source"`, ""},
		{"a: [", `: invalid: not YAML`, ""},
	} {
		_, err := readMirrorText(t, c.text)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.HintOf(err), c.hint) || strings.Contains(err.Error(), canary) {
			t.Errorf("%q:\ngot  %v (hint: %s)\nwant %s", c.text, err, fault.HintOf(err), c.want)
		}
	}
	if _, err := ReadMirrors(filepath.Join(t.TempDir(), "none.yaml")); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestTheSchemaOfMirrorsAgreesWithTheReader(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(MirrorsSchema(), &root); err != nil {
		t.Fatal(err)
	}
	const rule = "rules:\n  - name: x\n    source: a\n    target: b\n    "
	example, err := os.ReadFile(filepath.Join("testdata", "mirrors.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		strings.Replace(string(example), "1.10:", "'1.10':", 1), rule, rule + "frobnicate: 1", rule + "sources: [c]", rule + "every: 6h", rule + "every: 6h\n    schedule: '@daily'",
		rule + "latest: -1", rule + "latest: two", rule + "latest-by: age", rule + "overwrite: never", rule + "map: {a: b, c: [d, 1.1]}", rule + "map: {a: []}",
		rule + "include: []", rule + "include: [a]", rule + "include: 1", rule + "delay-seconds: 0.5", rule + "delay-seconds: 100000", rule + "paused: yes",
		rule + "platforms: linux/amd64", rule + "platforms: [linux/amd64]", rule + "platforms: {only: linux/amd64, sparse: true}", rule + "platforms: {optional: true}", rule + "platforms: 1",
		rule + "referrers: sync", rule + "referrers: false", rule + "referrers: {}", rule + "referrers: {types: a}", rule + "referrers: {mode: false, types: a}", rule + "referrers: {mode: 'false'}",
		rule + "referrers: {annotations: {a: b}}", rule + "referrers: {annotations: {a: 1}}", rule + "referrers: [a]", rule + "referrers: some",
		rule + "jitter: soon", "rules: []", "rules: {}", "defaults: {name: x}\n" + rule, "defaults: {latest: 3}\n" + rule, "rules:\n  - name: BAD\n    source: a\n    target: b", "rules:\n  - source: a\n    target: b",
	} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		_, err = readMirrorText(t, text)
		if ok := accepts(t, root, root, v); ok != (err == nil) {
			t.Errorf("%q: the schema says %v, the parser %v", text, ok, err)
		}
	}
	var known []string
	for _, f := range (parser{}).shared(&Mirror{}) {
		known = append(known, f.key)
	}
	defaults := root["properties"].(map[string]any)["defaults"].(map[string]any)["properties"].(map[string]any)
	for _, key := range known {
		if defaults[key] == nil {
			t.Errorf("the schema lacks %s", key)
		}
	}
	for key := range defaults {
		if !slices.Contains(known, key) {
			t.Errorf("the parser lacks %s", key)
		}
	}
}

func FuzzMirrors(f *testing.F) {
	example, err := os.ReadFile(filepath.Join("testdata", "mirrors.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte(`{"name":"x","sources":["a"],"targets":["b"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readRule(t, data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := readRule(t, raw); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%v\n%s\n%+v\n%+v", err, raw, back, m)
		}
	})
}
