package dray_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func TestImportBringsAnImageUnderTwoNamesWithOneReading(t *testing.T) {
	y := yard.New(t)
	img := testbed.Random(t, y.Src, "team/app", "v1", testbed.RandomOptions{Layers: 3, Size: 64 << 10})
	y.Forget()
	rep := y.Must(y.Import(dray.ImportRequest{Source: "src/team/app:v1", Target: "dst", Images: []string{"app:v1", "app:latest"}}))
	// There are n = 4 blobs. Each needs a POST, which asks whether the blob exists, and a PUT. Each tag needs a
	// HEAD and a PUT. The source is asked what refers to the image: the API, which it does not have, the tag in
	// its place, and three digest tags.
	y.WantSpent("GET blob ×4, GET manifest ×2, GET referrers ×1, HEAD manifest ×4", "HEAD manifest ×2, POST upload ×4, PUT manifest ×2, PUT upload ×4")
	testbed.Same(t, y.Src, y.Dst, "team/app", "v1", "app", "v1")
	testbed.Same(t, y.Src, y.Dst, "team/app", "v1", "app", "latest")
	if rep.Count(dray.Done) != 2 || rep.Steps[0].Blobs.Sent != 4 || rep.Steps[0].Blobs.Bytes != img.Bytes || rep.Steps[1].Blobs.Sent != 0 {
		t.Errorf("report %+v", rep.Steps)
	}
}

func TestTheReportAddsUpToWhatTheRegistriesCounted(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "team/app", "v1", 3)
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/team/app:v1", Targets: []string{"dst/app", "dst/other/app:x"}}))
	y.Spends(rep.Traffic, y.Src, y.Dst)
}

func TestAnImportThatIsThereAlreadyCostsOneHeadOnEachSide(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "team/app", "v1", testbed.RandomOptions{})
	req := dray.ImportRequest{Source: "src/team/app:v1", Target: "dst", Images: []string{"app:v1"}}
	y.Must(y.Import(req))
	y.Forget()
	rep := y.Must(y.Import(req))
	y.WantSpent("HEAD manifest ×1", "HEAD manifest ×1")
	if rep.Count(dray.Unchanged) != 1 {
		t.Errorf("report %+v", rep.Steps)
	}
}

func TestATagCostsOneGetAndOnePut(t *testing.T) {
	y := yard.New(t)
	img := testbed.Index(t, y.Src, "team/app", "v1", 2)
	y.Forget()
	y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/team/app:v1", Tags: []string{"stable"}}, nil)))
	y.WantSpent("GET manifest ×1, PUT manifest ×1", "")
	y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: "src/team/app@" + img.Digest(), Tags: []string{"prod", "x"}}, nil)))
	for _, tag := range []string{"stable", "prod", "x"} {
		testbed.Same(t, y.Src, y.Src, "team/app", "v1", "team/app", tag)
	}
}

func TestATagThatIsANameElsewhereIsRefusedAndCopyIsNamed(t *testing.T) {
	y := yard.New(t)
	for _, tag := range []string{"dst/app:v1", "app:v1", "app@sha256:00"} {
		_, err := y.PlanTag(t.Context(), dray.TagRequest{Image: "src/team/app:v1", Tags: []string{tag}}, nil)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "dray copy") {
			t.Errorf("%s: %v (%s)", tag, err, fault.HintOf(err))
		}
	}
	if y.Src.Requests() != 0 {
		t.Error("a request was made although a name is not valid")
	}
}

func TestACopyWithinARegistryMountsEveryBlob(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{})
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{"src": {Host: reg.Host, Settings: dray.Settings{PlainHTTP: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	y := &yard.Yard{Dray: d, T: t, Src: reg, Dst: reg}
	testbed.Random(t, reg, "test", "25", testbed.RandomOptions{Layers: 10})
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "http://" + reg.Host + "/test:25", Targets: []string{reg.Host + "/test2:stable"}}))
	y.WantSpent("GET manifest ×2, GET referrers ×1, HEAD blob ×1, HEAD manifest ×4, POST upload ×11, PUT manifest ×1", "") // 3 + n, 1 for the first mount, 5 for referrers
	if rep.Steps[0].Blobs.Mounted != 11 || rep.Traffic[reg.Host].Sent > 8<<10 {
		t.Errorf("report %+v, %+v", rep.Steps, rep.Traffic)
	}
	testbed.Same(t, reg, reg, "test", "25", "test2", "stable")
}

func TestWithoutForceOneConflictStopsEverythingBeforeAByteMoves(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, y.Dst, "app", "taken", testbed.RandomOptions{Seed: 2})
	y.Forget()
	req := dray.ImportRequest{Source: "src/app:v1", Target: "dst", Images: []string{"app:free", "app:taken"}}
	rep, err := y.Import(req)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err), "--force") || strings.Count(err.Error(), "sha256:") != 2 {
		t.Fatalf("%v (%s)", err, fault.HintOf(err))
	}
	if rep.Steps[0].State != dray.NotStarted || rep.Steps[1].State != dray.Failed {
		t.Errorf("report %+v", rep.Steps)
	}
	y.WantSpent("HEAD manifest ×1", "HEAD manifest ×2")
	req.Overwrite = plan.Update
	y.Must(y.Import(req))
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "taken")
}

func TestAManifestOnlyCopyMakesNoTag(t *testing.T) {
	y := yard.New(t)
	img := testbed.Index(t, y.Src, "library/hello", "latest", 2)
	p, err := y.PlanImport(t.Context(), dray.ImportRequest{Source: "src/library/hello@" + img.Digest(), Target: "dst"}, nil)
	if err != nil || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "without a tag") {
		t.Fatalf("%v %v", p, err)
	}
	y.Must(y.Applied(p, nil))
	testbed.Same(t, y.Src, y.Dst, "library/hello", img.Digest(), "library/hello", img.Digest())
	y.Must(y.Import(dray.ImportRequest{Source: "src/library/hello:latest", Target: "dst", Repositories: []string{"hello"}}))
	for _, repo := range []string{"library/hello", "hello"} {
		err := y.List(t.Context(), dray.LookRequest{Name: "dst/" + repo}, nil, func(e dray.Entry) error {
			return fmt.Errorf("a tag was made: %s", e.Name)
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	}
	y.Forget()
	if rep := y.Must(y.Import(dray.ImportRequest{Source: "src/library/hello:latest", Target: "dst", Repositories: []string{"hello"}})); rep.Count(dray.Unchanged) != 1 {
		t.Errorf("the second time: %+v", rep.Steps)
	}
	y.WantSpent("HEAD manifest ×1", "HEAD manifest ×1")
}

// F-61 within one command: the source tag moves between the survey and the work.
func TestASourceTagThatMovesMeanwhileLeavesAWholeTarget(t *testing.T) {
	y := yard.New(t)
	before := testbed.Random(t, y.Src, "app", "latest", testbed.RandomOptions{Seed: 1})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:latest", Targets: []string{"dst/app"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.Src, "app", "latest", testbed.RandomOptions{Seed: 2})
	y.Must(y.Applied(p, nil))
	testbed.Same(t, y.Src, y.Dst, "app", before.Digest(), "app", "latest")
}

func TestAPlanFromAFileIsHeldAgainstBothEnds(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 1})
	file := func() *dray.Prepared {
		p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := p.Write(&buf); err != nil {
			t.Fatal(err)
		}
		back, err := dray.ReadPlan(&buf)
		if err != nil {
			t.Fatal(err)
		}
		return back
	}
	p, again := file(), file()
	y.Must(y.Applied(p, nil))
	y.Must(y.Applied(again, nil)) // the target already holds the planned content, which must not be an error

	stale := file()
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 2})
	if rep, err := y.Applied(stale, nil); !fault.Is(err, fault.Moved) || !strings.HasPrefix(err.Error(), "source: ") || rep.Steps[0].State != dray.Failed {
		t.Errorf("source moved: %v", err)
	}
	stale = file()
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 3})
	before := testbed.CraneDigest(t, y.Dst, "app", "v1")
	if _, err := y.Applied(stale, nil); !fault.Is(err, fault.Moved) || !strings.HasPrefix(err.Error(), "target: ") {
		t.Errorf("target moved: %v", err)
	}
	if testbed.CraneDigest(t, y.Dst, "app", "v1") != before {
		t.Error("a stale plan was applied")
	}
}

func TestAllTagsAreCopiedAndEqualOnesSkipped(t *testing.T) {
	y := yard.New(t)
	for i := range 5 {
		testbed.Random(t, y.Src, "app", fmt.Sprint("v", i), testbed.RandomOptions{Seed: uint64(i), Layers: 2})
	}
	req := dray.CopyRequest{Source: "src/app", Targets: []string{"dst/mirror/app"}, Tags: dray.AllTags}
	if rep := y.Must(y.Copy(req)); rep.Count(dray.Done) != 5 {
		t.Errorf("%+v", rep.Steps)
	}
	testbed.Random(t, y.Src, "app", "v3", testbed.RandomOptions{Seed: 99})
	rep := y.Must(y.Copy(req))
	if rep.Count(dray.Done) != 1 || rep.Count(dray.Unchanged) != 4 {
		t.Errorf("%+v", rep.Steps)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v3", "mirror/app", "v3")
}

func TestALayoutIsASourceAndATarget(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "app", "v1", 2)
	dir := "oci:" + filepath.Join(t.TempDir(), "layout")
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{dir + ":one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := y.List(t.Context(), dray.LookRequest{Name: dir}, nil, func(dray.Entry) error { return nil }); !fault.Is(err, fault.NotFound) {
		t.Errorf("planning created a layout: %v", err)
	}
	y.Must(y.Applied(p, nil))
	y.Must(y.Applied(y.PlanTag(t.Context(), dray.TagRequest{Image: dir + ":one", Tags: []string{"two"}}, nil)))
	y.Must(y.Copy(dray.CopyRequest{Source: dir + ":two", Targets: []string{"dst/back"}}))
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "back", "two")
}

func TestADryRunMakesNoWrite(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
	if err != nil || !strings.HasPrefix(p.String(), "copy      "+y.Src.Host+"/app:v1 -> "+y.Dst.Host+"/app:v1  sha256:") {
		t.Fatalf("%v, %v", p, err)
	}
	for _, q := range y.Dst.Log() {
		if q.Method != http.MethodHead && q.Method != http.MethodGet {
			t.Errorf("a plan wrote: %s %s", q.Method, q.Path)
		}
	}
}

func TestRealImagesArriveByteForByte(t *testing.T) {
	y := yard.New(t)
	for name, put := range map[string]func(testing.TB, *testbed.Registry, string, string) testbed.Image{
		"hello": testbed.HelloWorld, "chart": testbed.HelmChart, "busybox": testbed.Busybox,
		"artifact": func(tb testing.TB, r *testbed.Registry, repo, tag string) testbed.Image {
			tb.Helper()
			return testbed.Artifact(tb, r, repo, tag, testbed.Random(tb, r, repo, "", testbed.RandomOptions{}).Root)
		},
		"win": func(tb testing.TB, r *testbed.Registry, repo, tag string) testbed.Image {
			tb.Helper()
			return testbed.Foreign(tb, r, repo, tag, "https://mcr.example/layer")
		},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, y.Src, name, "v1")
			y := &yard.Yard{Dray: y.Dray, T: t, Src: y.Src, Dst: y.Dst}
			y.Must(y.Import(dray.ImportRequest{Source: "src/" + name + ":v1", Target: "dst"}))
			testbed.Same(t, y.Src, y.Dst, name, "v1", name, "v1")
			if name != "win" {
				testbed.CraneDigest(t, y.Dst, name, "v1")
			}
			if name == "busybox" || name == "hello" {
				testbed.SkopeoInspect(t, y.Dst, name, "v1")
			}
			if name == "busybox" {
				testbed.UmociUnpack(t, y.Dst, name, "v1")
			}
		})
	}
}

// F-52. az acr import accepts only 50 manifests.
func TestAnIndexOf120ManifestsAndNestedIndexesArriveWhole(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "many", "v1", 120)
	testbed.Nested(t, y.Src, "deep", "v1", 4)
	for _, repo := range []string{"many", "deep"} {
		y.Must(y.Copy(dray.CopyRequest{Source: "src/" + repo + ":v1", Targets: []string{"dst/" + repo}}))
		testbed.Same(t, y.Src, y.Dst, repo, "v1", repo, "v1")
	}
}

func TestEveryTagOfARealRepositoryOfOddThingsIsCopied(t *testing.T) {
	y := yard.New(t)
	tags := testbed.Layout(t, y.Src, "repo", testbed.RegclientRepo(t))
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/repo", Targets: []string{"dst/repo"}, Tags: dray.AllTags}))
	has := func(digest oci.Digest) bool {
		accept := http.Header{"Accept": {oci.TypeManifest, oci.TypeIndex, oci.TypeDockerManifest, oci.TypeDockerList}}
		return y.Src.Direct(t, http.MethodHead, "/v2/repo/manifests/"+string(digest), accept, nil, nil).StatusCode == http.StatusOK
	}
	lists := 0
	for tag := range tags {
		// What a list of referrers names travels with its image, and the target makes a list of its own. One such tag
		// is of the image itself.
		subject, list := oci.TaggedFor(tag)
		if list && has(subject) && testbed.CraneDigest(t, y.Src, "repo", tag) != string(subject) {
			lists++
			doc, err := oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, y.Raw(y.Src, "repo", tag, oci.TypeIndex))
			if err != nil {
				t.Fatal(err)
			}
			there := string(y.Raw(y.Dst, "repo", tag, oci.TypeIndex))
			for _, d := range doc.Documents {
				if has(d.Digest) != strings.Contains(there, string(d.Digest)) {
					t.Errorf("%s: %s is at the source: %t; the target lists %s", tag, d.Digest, has(d.Digest), there)
				}
			}
			continue
		}
		testbed.Same(t, y.Src, y.Dst, "repo", tag, "repo", tag)
	}
	if lists == 0 || len(rep.Steps) != len(tags)-lists {
		t.Errorf("%d steps for %d tags, of which %d are lists", len(rep.Steps), len(tags), lists)
	}
}

func TestAReportIsStableJSON(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 7})
	rep, _ := y.Import(dray.ImportRequest{Source: "src/app:v1", Target: "dst"})
	raw, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"verb":"import"`, `"state":"failed"`, `"action":"conflict"`, `"kind":"conflict"`, `"side":"target"`, `"hint":"use --force`, `"traffic":{`, `"requests":1`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

func TestWhoWatchesHearsTheStoryInOrder(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 2})
	var mu sync.Mutex
	var kinds []event.Kind
	watch := func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind != event.Advanced {
			kinds = append(kinds, e.Kind)
		}
	}
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, watch)
	if err != nil {
		t.Fatal(err)
	}
	y.Must(y.Apply(t.Context(), p, watch))
	if kinds[0] != event.Resolved || kinds[1] != event.Sized || !slices.Equal(kinds[len(kinds)-3:], []event.Kind{event.Tagged, event.Finished}) && !slices.Equal(kinds[len(kinds)-2:], []event.Kind{event.Tagged, event.Finished}) {
		t.Errorf("%v", kinds)
	}
}

func TestACallerWhoGivesUpGetsAReportOfWhatIsLeft(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rep, err := y.Apply(ctx, p, nil)
	if !fault.Is(err, fault.Canceled) || rep.Count(dray.Done) != 0 || len(rep.Steps) != 1 {
		t.Errorf("%v %+v", err, rep.Steps)
	}
}

// Such a registry does not answer reads while it waits for the body of an upload, and it cannot mount blobs.
func TestACopyWithinARegistryThatDoesOneThingAtATimeDoesNotWaitForItself(t *testing.T) {
	reg := testbed.Sloppy(t, testbed.Options{})
	y := yard.Of(t, reg, testbed.Distribution(t, testbed.Options{}))
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{Layers: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := y.PlanCopy(ctx, dray.CopyRequest{Source: "src/app:v1", Targets: []string{"src/app2"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	y.Must(y.Apply(ctx, p, nil))
	testbed.Same(t, reg, reg, "app", "v1", "app2", "v1")
}

func TestNewRefusesNamesOfRegistriesThatMeanTwoThings(t *testing.T) {
	for _, tt := range []struct {
		c    dray.Config
		want string // "" means that it is valid
	}{
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"production", "Old.example", "[::1]:5000"}}}, Default: "production"}, ""},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"prod"}}}}, `the alias "prod"`},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"PROD.example"}}}}, `the alias "prod.example"`},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"dev"}}, "dev": {Host: "dev.example", Aliases: []string{"prod.example"}}}}, "the alias"},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"x"}}, "dev": {Host: "dev.example", Aliases: []string{"x"}}}}, `the alias "x"`},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"a/b"}}}}, `the alias "a/b"`},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{""}}}}, `the alias ""`},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "prod.example", Aliases: []string{"a.b:0"}}}}, "not a port"},
		{dray.Config{Registries: map[string]dray.Registry{"prod": {Host: "registry"}}}, "no dot and no port"},
		{dray.Config{Registries: map[string]dray.Registry{"prod.eu": {Host: "prod.example"}}}, "cannot contain a dot"},
		{dray.Config{Default: "prod"}, "not one of the configured registries"},
	} {
		d, err := dray.New(tt.c)
		if tt.want == "" && err != nil || tt.want != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.c, err, tt.want)
		}
		if err == nil {
			d.Close()
		}
	}
}

func TestANoteAboutANameIsToldAlsoIfTheImageDoesNotExist(t *testing.T) {
	y := yard.New(t)
	var told []string
	req := dray.ImportRequest{Source: y.Src.Host + "/app:gone", SourceRegistry: "src", Target: "dst", Images: []string{"x:y"}}
	_, err := y.PlanImport(t.Context(), req, func(e event.Event) {
		if e.Kind == event.Noted {
			told = append(told, e.Text)
		}
	})
	if !fault.Is(err, fault.NotFound) || len(told) != 1 || !strings.Contains(told[0], "is ignored: --registry names the registry already") {
		t.Errorf("%v, told %q", err, told)
	}
}

func TestANoteAboutANameIsToldAlsoIfTheRunFails(t *testing.T) {
	y := yard.New(t)
	for _, run := range []func(event.Observer) error{
		func(obs event.Observer) error {
			_, err := y.PlanImport(t.Context(), dray.ImportRequest{Source: "app:v1", SourceRegistry: "myregistry", Target: "dst", Images: []string{"x@y"}}, obs)
			return err
		},
		func(obs event.Observer) error {
			_, err := y.RegistryHost("myregistry", fault.Source, obs)
			return cmp.Or(err, error(&fault.Fault{Kind: fault.Invalid}))
		},
	} {
		var told []string
		if err := run(func(e event.Event) { told = append(told, e.Text) }); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], "myregistry is read as myregistry.azurecr.io") {
			t.Errorf("told %q", told)
		}
	}
}
