package oci

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestPlatformsAreReadAndNormalized(t *testing.T) {
	for words, want := range map[string]string{
		"linux/amd64":                      "linux/amd64",
		"Linux/x86_64, linux/amd64/v1":     "linux/amd64",
		"linux/arm64/v8,linux/aarch64":     "linux/arm64",
		"linux/arm":                        "linux/arm/v7",
		"linux/arm/6":                      "linux/arm/v6",
		"windows/amd64:10.0.17763":         "windows/amd64:10.0.17763",
		"linux/s390x,linux/386,linux/i386": "linux/386,linux/s390x",
		"all":                              "all",
	} {
		got, err := ParsePlatforms(words)
		if err != nil || PlatformsString(got) != want {
			t.Errorf("%q: %q, %v; want %q", words, PlatformsString(got), err, want)
		}
		again, err := ParsePlatforms(PlatformsString(got))
		if err != nil || !slices.EqualFunc(got, again, func(a, b Platform) bool { return PlatformString(&a) == PlatformString(&b) }) {
			t.Errorf("%q is not read as it was written: %v, %v", words, again, err)
		}
	}
	for _, bad := range []string{"", "amd64", "linux", "linux/", "linux/arm/v7/x", "all,linux/amd64", "linux/amd64:", "li nux/amd64"} {
		if _, err := ParsePlatforms(bad); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPlatformsMatchAsContainerdMatchesThem(t *testing.T) {
	for _, tt := range []struct {
		asked string
		have  Platform
		want  bool
	}{
		{"linux/arm64", Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, true},
		{"linux/arm64/v8", Platform{OS: "linux", Architecture: "arm64"}, true},
		{"linux/arm", Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, false},
		{"linux/amd64", Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, false},
		{"windows/amd64", Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1999"}, true},
		{"windows/amd64:10.0.17763", Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1999"}, true},
		{"windows/amd64:10.0.1776", Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1999"}, false},
		{"windows/amd64:10.0.17763", Platform{OS: "windows", Architecture: "amd64"}, false},
	} {
		asked, err := ParsePlatforms(tt.asked)
		if err != nil || PlatformMatches(asked[0], tt.have) != tt.want {
			t.Errorf("%s and %s: want %v, %v", tt.asked, PlatformString(&tt.have), tt.want, err)
		}
	}
}

// numbered returns a digest.
func numbered(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// entry returns an entry of an index, with spaces that must be kept.
func entry(n int, more string) string {
	return fmt.Sprintf(`{ "mediaType":%q, "digest":%q,"size":%d%s}`, TypeManifest, numbered(n), n, more)
}

func on(platform string) string {
	p := strings.Split(platform, "/")
	return fmt.Sprintf(`,"platform":{"architecture":%q,"os":%q}`, p[1], p[0])
}

func attesting(n int) string {
	return fmt.Sprintf(`,"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.digest":%q}`, numbered(n))
}

// indexOf returns an index with these entries.
func indexOf(t *testing.T, mediaType, more string, entries ...string) Document {
	t.Helper()
	raw := fmt.Sprintf("{\n \"schemaVersion\": 2,\"mediaType\":%q,\"manifests\":[ %s ]%s}", mediaType, strings.Join(entries, " , "), more)
	doc, err := Parse(Descriptor{}, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func platforms(t *testing.T, words ...string) []Platform {
	t.Helper()
	all, err := ParsePlatforms(words...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestATrimmedIndexKeepsTheBytesOfWhatItKeeps(t *testing.T) {
	amd, arm, none := entry(1, on("linux/amd64")), entry(2, on("linux/arm64")), entry(3, "")
	index := indexOf(t, TypeIndex, `,"x":{"b" : 1},"annotations":{"z":"<&>","a":"b"},"artifactType":"x/y"`,
		amd, arm, entry(4, attesting(1)), entry(5, attesting(2)), none)
	got, err := Trim(index, platforms(t, "linux/amd64,linux/s390x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s,%s,%s],"x":{"b" : 1},`+
		`"annotations":{"z":"<&>","a":"b",%q:%q,%q:"linux/amd64"},"artifactType":"x/y"}`,
		TypeIndex, amd, entry(4, attesting(1)), none, AnnotationTrimmedFrom, index.Digest, AnnotationTrimmedTo)
	if string(got.Raw) != want {
		t.Errorf("got\n%s\nwant\n%s", got.Raw, want)
	}
	if PlatformsString(got.Found) != "linux/amd64" || PlatformsString(got.Lacks) != "linux/s390x" || PlatformsString(got.Has) != "linux/amd64,linux/arm64" {
		t.Errorf("found %v, lacks %v, has %v", got.Found, got.Lacks, got.Has)
	}
	if from, to := TrimmedFrom(got.Document); from != index.Digest || to != "linux/amd64" {
		t.Errorf("trimmed from %s to %s", from, to)
	}
	again, err := Trim(got.Document, platforms(t, "linux/amd64"), nil)
	if err != nil || !bytes.Equal(again.Raw, got.Raw) {
		t.Errorf("trimmed twice: %v\n%s", err, again.Raw)
	}
}

func TestAnIndexIsLeftAsItIsIfNothingIsLeftOut(t *testing.T) {
	amd, arm := entry(1, on("linux/amd64")), entry(2, on("linux/arm64"))
	for name, index := range map[string]Document{
		"all asked":    indexOf(t, TypeIndex, "", amd, arm, entry(4, attesting(1))),
		"no platforms": indexOf(t, TypeIndex, "", entry(1, ""), entry(2, "")),
	} {
		got, err := Trim(index, platforms(t, "linux/amd64", "linux/arm64"), nil)
		if err != nil || !bytes.Equal(got.Raw, index.Raw) || len(got.Lacks) > 0 {
			t.Errorf("%s: %v, lacks %v\n%s", name, err, got.Lacks, got.Raw)
		}
	}
	got, err := Trim(indexOf(t, TypeIndex, "", amd, arm), platforms(t, "linux/s390x"), nil)
	if err != nil || len(got.Found) != 0 || len(got.Lacks) != 1 || len(got.Documents) != 2 {
		t.Errorf("none found: %+v, %v", got, err)
	}
}

// Docker's manifest list has no annotations: registries that check it against its schema would refuse them.
func TestADockerListStaysOneAndGetsNoAnnotations(t *testing.T) {
	index := indexOf(t, TypeDockerList, "", entry(1, on("linux/amd64")), entry(2, on("linux/arm64")))
	got, err := Trim(index, platforms(t, "linux/arm64"), nil)
	if err != nil || got.MediaType != TypeDockerList || len(got.Documents) != 1 || bytes.Contains(got.Raw, []byte("annotations")) {
		t.Errorf("%v\n%s", err, got.Raw)
	}
	if from, _ := TrimmedFrom(got.Document); from != "" {
		t.Errorf("it is annotated with %s", from)
	}
}

func TestASparseIndexKeepsItsBytesAndFollowsFewer(t *testing.T) {
	index := indexOf(t, TypeIndex, "", entry(1, on("linux/amd64")), entry(2, on("linux/arm64")), entry(4, attesting(1)), entry(5, attesting(2)))
	got := Sparse(index, platforms(t, "linux/arm64"), nil)
	if !bytes.Equal(got.Raw, index.Raw) || got.Digest != index.Digest || len(got.Documents) != 2 ||
		got.Documents[0].Digest != Digest(numbered(2)) || got.Documents[1].Digest != Digest(numbered(5)) {
		t.Errorf("%+v", got.Documents)
	}
	if len(index.Documents) != 4 {
		t.Error("the index itself was changed")
	}
}

// Whatever an index is, what is trimmed is a part of it, and it is equal if it is trimmed again.
func FuzzTrim(f *testing.F) {
	f.Add([]byte(`{"manifests":[` + entry(1, on("linux/amd64")) + `,` + entry(2, on("linux/arm64")) + `],"annotations":null}`))
	f.Add([]byte(`{"manifests":[` + entry(1, on("linux/amd64")) + `,` + entry(4, attesting(1)) + `],"annotations":{"a":"b"}}`))
	only, err := ParsePlatforms("linux/amd64")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		index, err := Parse(Descriptor{}, raw)
		if err != nil {
			return
		}
		first, err := Trim(index, only, nil)
		if err != nil {
			t.Skip() // for example annotations that are no object
		}
		for _, d := range first.Documents {
			if !slices.ContainsFunc(index.Documents, func(o Descriptor) bool { return o.Digest == d.Digest }) {
				t.Errorf("%s is new", d.Digest)
			}
		}
		again, err := Trim(first.Document, only, nil)
		if err != nil || !bytes.Equal(again.Raw, first.Raw) {
			t.Errorf("%v\n%s\n%s", err, first.Raw, again.Raw)
		}
	})
}
