package parts

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/drayage/dray/internal/yard"
)

// allowed lists the licenses under which a program may be given on beside Apache-2.0, without its source.
var allowed = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "Zlib", "Unlicense", "CC0-1.0", "MPL-2.0", "blessing"}

// bare lists modules without a license file, with the reason why they are in the programs all the same.
var bare = map[string]string{
	"github.com/nexus-rpc/nexus-proto-annotations": "go.temporal.io/api (MIT) imports it; its authors publish no license, neither with v0.1.0, its only version, nor at the head of its repository in March 2026",
}

// Cloud storage is in the programs only with build tags.
const tags = "s3,azure,gcs"

func TestTheReleaseContainsOnlyLicensesThatAllowIt(t *testing.T) {
	if testing.Short() || yard.Small() {
		t.Skip("the judge is slow: make check runs it without the race detector")
	}
	judge, err := NewJudge()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []Target{{OS: "linux", Arch: "amd64", Tags: tags}, {OS: "windows", Arch: "arm64"}, {OS: "darwin", Arch: "arm64"}} {
		all, err := List(t.Context(), target, "github.com/drayage/dray/cmd/...")
		if err != nil {
			t.Fatal(err)
		}
		if len(all) < 50 {
			t.Errorf("%v: only %d modules", target, len(all))
		}
		for _, m := range all {
			ids := judge.Licenses(m)
			if len(ids) == 0 && bare[m.Path] == "" {
				t.Errorf("%s %s: no license that the judge knows", m.Path, m.Version)
			}
			for _, id := range ids {
				if !slices.Contains(allowed, id) {
					t.Errorf("%s %s is under %s: see CONTRIBUTING.md, Libraries", m.Path, m.Version, id)
				}
			}
		}
	}
}

func TestTheTextsAndTheBillNameEveryModule(t *testing.T) {
	all := []Module{
		{Path: "a.example/a", Version: "v1.0.0", Texts: []Text{{"LICENSE", []byte("one\n")}, {"sub/NOTICE", []byte("made by a")}}},
		{Path: "b.example/b", Version: "v2.0.0+incompatible", Texts: []Text{{"COPYING", []byte("one")}}},
	}
	text := string(Texts(all))
	for want, times := range map[string]int{"a.example/a v1.0.0 (LICENSE)": 1, "a.example/a v1.0.0 (sub/NOTICE)": 1, "b.example/b v2.0.0+incompatible (COPYING)": 1, "\none\n": 1, "made by a": 1} {
		if got := strings.Count(text, want); got != times {
			t.Errorf("%q is there %d times in:\n%s", want, got, text)
		}
	}
	raw, err := SBOM("v9", all, func(m Module) []string { return map[string][]string{"a.example/a": {"MIT"}}[m.Path] })
	if err != nil {
		t.Fatal(err)
	}
	again, err := SBOM("v9", all, func(m Module) []string { return map[string][]string{"a.example/a": {"MIT"}}[m.Path] })
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("a second bill differs (%v)", err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	got := *bom.Components
	if len(got) != 2 || got[1].PackageURL != "pkg:golang/b.example/b@v2.0.0%2Bincompatible" || (*got[0].Licenses)[0].License.ID != "MIT" || bom.Metadata.Component.Version != "v9" {
		t.Errorf("%s", raw)
	}
}
