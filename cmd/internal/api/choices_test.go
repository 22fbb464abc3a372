package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/internal/testbed"
)

// verifying is a request to verify one image, with all content.
func verifying(source, target string, p wire.Platforms, r wire.Referrers) wire.Request {
	return wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{Depth: "deep",
		Ends: wire.Ends{Sources: []string{source}, Target: target, Platforms: p, Referrers: r}}}
}

// moving returns a request of each verb that moves the image src/app:v1, by the name that it gets at dst.
func moving(p wire.Platforms, r wire.Referrers) map[string]wire.Request {
	batch := func(b wire.Batch) wire.Request { return wire.Request{Kind: wire.KindBatch, Batch: &b} }
	plain := wire.BatchEntry{Source: "src/app:v1", Targets: []string{"batched:v1"}}
	own := wire.BatchEntry{Source: "src/app:v1", Targets: []string{"listed:v1"}, Platforms: p, Referrers: r}
	return map[string]wire.Request{
		"imported": {Kind: wire.KindImport, Import: &wire.Import{
			Source: "src/app:v1", Target: "dst", Images: []string{"imported:v1"}, Platforms: p, Referrers: r}},
		"copied": {Kind: wire.KindCopy, Copy: &wire.Copy{
			Source: "src/app:v1", Targets: []string{"dst/copied:v1"}, Platforms: p, Referrers: r}},
		"batched": batch(wire.Batch{Target: "dst", Entries: []wire.BatchEntry{plain}, Platforms: p, Referrers: r}),
		"listed":  batch(wire.Batch{Target: "dst", Entries: []wire.BatchEntry{own}}),
		"moved": {Kind: wire.KindTransfer, Transfer: &wire.Transfer{
			Ends: wire.Ends{Sources: []string{"src/app"}, Target: "dst/moved", Platforms: p, Referrers: r,
				Selection: wire.Selection{IncludeTags: []string{"v1"}}}}},
	}
}

func TestEachVerbCopiesThePlatformsThatItsRequestNames(t *testing.T) {
	y := newYard(t, settings{})
	testbed.Index(t, y.src, "app", "v1", 3)
	arm := wire.Platforms{Only: []string{"linux/arm64"}}
	for name, r := range moving(arm, wire.Referrers{}) {
		t.Run(name, func(t *testing.T) {
			y.done(r, wire.Done)
			y.done(verifying("src/app:v1", "dst/"+name, arm, wire.Referrers{}), wire.Done)
			y.done(verifying("src/app:v1", "dst/"+name, wire.Platforms{}, wire.Referrers{}), wire.Failed)
		})
	}
	lacking := wire.Platforms{Only: []string{"linux/arm64", "linux/s390x"}}
	for name, r := range moving(lacking, wire.Referrers{}) {
		t.Run("lacking "+name, func(*testing.T) { y.done(r, wire.Failed) })
	}
	lacking.Optional = true
	for name, r := range moving(lacking, wire.Referrers{}) {
		t.Run("optional "+name, func(t *testing.T) {
			y.done(r, wire.Done)
			y.done(verifying("src/app:v1", "dst/"+name, lacking, wire.Referrers{}), wire.Done)
		})
	}
}

func TestEachVerbBringsTheReferrersThatItsRequestChooses(t *testing.T) {
	all := wire.Referrers{Mode: "true"}
	signed := func() *yard {
		y := newYard(t, settings{})
		testbed.Artifact(t, y.src, "app", "", y.image("app", "v1", 1).Root)
		return y
	}
	for _, choice := range []wire.Referrers{{Mode: "false"}, {Types: []string{"application/spdx+json"}}} {
		y := signed()
		for name, r := range moving(wire.Platforms{}, choice) {
			t.Run(name+" without them, mode "+choice.Mode, func(t *testing.T) {
				y.done(r, wire.Done)
				y.done(verifying("src/app:v1", "dst/"+name, wire.Platforms{}, choice), wire.Done)
				y.done(verifying("src/app:v1", "dst/"+name, wire.Platforms{}, all), wire.Failed)
			})
		}
		for name, r := range moving(wire.Platforms{}, wire.Referrers{Mode: "sync"}) {
			t.Run(name+" in sync after mode "+choice.Mode, func(t *testing.T) {
				y.done(r, wire.Done)
				y.done(verifying("src/app:v1", "dst/"+name, wire.Platforms{}, all), wire.Done)
			})
		}
	}
}

// What a hint of REST names is a field of REST.
func TestAHintAboutPlatformsAndReferrersUsesTheWordsOfTheRequest(t *testing.T) {
	y := newYard(t, settings{})
	testbed.Index(t, y.src, "app", "v1", 2)
	for body, hint := range map[string]string{
		`{"source":"src/app:v1","target":"dst","platforms":{"only":["linux/s390x"]}}`:       "or use platforms.optional: true to copy",
		`{"source":"src/app:v1","target":"dst","referrers":{"mode":"false","types":["a"]}}`: "let referrers travel, or leave out the types",
	} {
		_, text := y.ask("ann", http.MethodPost, "/imports", body, "Prefer", "wait=20")
		if !strings.Contains(text, hint) || strings.Contains(text, "--") {
			t.Errorf("%s: %s", body, text)
		}
	}
	body := `{"sources":["src"],"target":"dst","selection":{"includeTags":["none"],"requireMatch":true}}`
	_, text := y.ask("ann", http.MethodPost, "/transfers", body, "Prefer", "wait=20")
	if !strings.Contains(text, `"hint":"correct the rule"`) {
		t.Error(text)
	}
}
