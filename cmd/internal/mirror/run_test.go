package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// yard is a Dray with the registries "src", "dst" and "eu".
type yard struct {
	*dray.Dray
	t            *testing.T
	src, dst, eu *testbed.Registry
}

func newYard(t *testing.T, eu *testbed.Registry) *yard {
	t.Helper()
	open := testbed.Options{Content: testbed.Open}
	y := &yard{t: t, src: testbed.Distribution(t, open), dst: testbed.Distribution(t, open), eu: eu}
	if eu == nil {
		y.eu = testbed.Distribution(t, open)
	}
	plain := dray.Settings{PlainHTTP: true}
	var err error
	y.Dray, err = dray.New(dray.Config{Limits: dray.Limits{Retries: 1}, Registries: map[string]dray.Registry{
		"src": {Host: y.src.Host, Settings: plain}, "dst": {Host: y.dst.Host, Settings: plain}, "eu": {Host: y.eu.Host, Settings: plain}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.Close)
	return y
}

func (y *yard) rule(text string) config.Mirror {
	y.t.Helper()
	path := filepath.Join(y.t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte("rules:\n- "+strings.ReplaceAll(text, "\n", "\n  ")+"\n"), 0o600); err != nil {
		y.t.Fatal(err)
	}
	m, err := config.ReadMirrors(path)
	if err != nil {
		y.t.Fatal(err)
	}
	return m.Rules[0]
}

// run runs a rule. It returns the result and, sorted, a line "HOST-NAME/REPO:TAG STATE" for each step.
func (y *yard) run(rule config.Mirror, mode Mode) (Result, string) {
	y.t.Helper()
	names := map[string]string{y.src.Host: "src", y.dst.Host: "dst", y.eu.Host: "eu"}
	var lines []string
	r := Run(y.t.Context(), y.Dray, rule, nil, mode, nil, func(rep dray.RepositoryReport) error {
		for _, s := range rep.Steps {
			lines = append(lines, names[s.To.Host]+"/"+s.To.Path+":"+s.To.Tag+" "+string(s.State))
		}
		return nil
	})
	slices.Sort(lines)
	return r, strings.Join(lines, ", ")
}

func (y *yard) target(r Result, host string) Target {
	y.t.Helper()
	i := slices.IndexFunc(r.Targets, func(t Target) bool { return t.Host == host })
	if i < 0 {
		y.t.Fatalf("%+v", r)
	}
	return r.Targets[i]
}

func random(t *testing.T, r *testbed.Registry, repo, tag string, seed uint64) {
	t.Helper()
	testbed.Random(t, r, repo, tag, testbed.RandomOptions{Seed: seed})
}

func TestARuleCopiesRepositoriesAndImagesToAllTargetsAndReadsThemOnce(t *testing.T) {
	y := newYard(t, nil)
	random(t, y.src, "team/app", "v1", 1)
	random(t, y.src, "team/app", "v2-rc1", 2)
	random(t, y.src, "library/nginx", "1.25", 3)
	random(t, y.eu, "m/team/app", "v1", 9) // the tag has another image at eu
	y.src.Reset()
	rule := y.rule("name: all\nsources: [src/team/]\nimages: [src/library/nginx:1.25]\ntargets: [dst, eu/m/]\nexclude-tags: '*-rc*'\nstrip: library\nmap: {'1.25': [stable, '1.25']}\nbackup: '{tag}-old'")
	looked, _ := y.run(rule, DryRun)
	if looked.Outcome != OK || looked.Drift != 6 || looked.Left != 6 || y.target(looked, y.eu.Host).Retagged != 1 || y.target(looked, y.eu.Host).Done != 3 {
		t.Errorf("%+v", looked)
	}
	if got := looked.Traffic[y.src.Host].Requests; got != y.src.Requests() {
		t.Errorf("the dry run counted %d requests, the source %d", got, y.src.Requests())
	}
	y.src.Reset()
	r, got := y.run(rule, Write)
	if want := "dst/nginx:1.25 done, dst/nginx:stable done, dst/team/app:v1 done, eu/m/nginx:1.25 done, eu/m/nginx:stable done, eu/m/team/app:v1 done"; got != want || r.Outcome != OK || r.Err() != nil {
		t.Errorf("%s\n%+v", got, r)
	}
	if r.Drift != 6 || r.Left != 0 || y.target(r, y.dst.Host).Missing != 3 {
		t.Errorf("%+v", r)
	}
	blobs := map[string]int{}
	for _, q := range y.src.Log() {
		if at := testbed.Parse(q.Path); q.Method == http.MethodGet && at.Kind == testbed.Blob {
			if blobs[q.Path]++; blobs[q.Path] > 1 {
				t.Errorf("%s was read twice", q.Path)
			}
		}
	}
	if len(blobs) == 0 {
		t.Error("no blob was read")
	}
	testbed.Same(t, y.src, y.eu, "library/nginx", "1.25", "m/nginx", "stable")
	again, got := y.run(rule, Write)
	if strings.Count(got, "unchanged") != 6 || again.Drift != 0 || again.Blobs.Sent != 0 || again.Outcome != OK {
		t.Errorf("%s\n%+v", got, again)
	}
	if names := testbed.Parse("/v2/m/team/app/manifests/v1-old"); names.Kind != testbed.Manifest || y.eu.Count(http.MethodPut, testbed.Manifest) < 4 {
		t.Errorf("the overwritten tag has no backup: %s", y.eu.Story())
	}
}

func TestARuleRestsAndReadsBackAsItSays(t *testing.T) {
	y := newYard(t, nil)
	for i := range 4 {
		random(t, y.src, "app", fmt.Sprintf("v%d", i), uint64(i+1))
	}
	random(t, y.src, "tool", "v1", 9)
	rule := y.rule("name: x\nsource: src/app\nimage: src/tool:v1\ntarget: dst\ndelay-seconds: 0.2\noverwrite: always\nrehash: true")
	r, got := y.run(rule, Write)
	if strings.Count(got, "done") != 5 || r.Took < 3*200*time.Millisecond {
		t.Errorf("%s in %s, want three rests of 200 ms", got, r.Took)
	}
	y.dst.Reset()
	if r, got := y.run(rule, Write); r.Outcome != OK || y.dst.Count(http.MethodGet, testbed.Blob) != 10 {
		t.Errorf("%s\nthe second run read %d blobs back, want the config and the layer of each of 5 images", got, y.dst.Count(http.MethodGet, testbed.Blob))
	}
}

func TestAFailureAtOneTargetDoesNotStopTheOthers(t *testing.T) {
	refuses := hostile.Status(403, nil, "").When(func(q *http.Request) bool { return q.Method == http.MethodPost })
	y := newYard(t, hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), refuses))
	random(t, y.src, "app", "v1", 1)
	random(t, y.src, "tool", "v1", 2)
	r, got := y.run(y.rule("name: x\nsource: src/app\nimages: [src/tool:v1, src/none:v1]\ntargets: [dst, eu]"), Write)
	if want := "dst/app:v1 done, dst/none:v1 failed, dst/tool:v1 done, eu/app:v1 failed, eu/none:v1 failed, eu/tool:v1 failed"; got != want {
		t.Errorf("%s", got)
	}
	if r.Outcome != Partly || r.Left != 4 || len(y.target(r, y.eu.Host).Failures) != 3 || r.Error == nil {
		t.Errorf("%+v", r)
	}
	r, _ = y.run(y.rule("name: x\nsource: src/app\ntarget: eu"), Write)
	if r.Outcome != Failed || r.Left != 1 || !fault.Is(r.Err(), fault.Denied) {
		t.Errorf("%+v", r)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestATargetThatDoesNotAnswerDoesNotStopTheOthers(t *testing.T) {
	y := newYard(t, hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Status(503, nil, "")))
	random(t, y.src, "app", "v1", 1)
	random(t, y.src, "tool", "v1", 2)
	rule := y.rule("name: x\nsource: src/app\nimages: [src/tool:v1]\ntargets: [eu, dst]")
	for _, then := range []string{"done", "unchanged"} {
		want := "dst/app:v1 " + then + ", dst/tool:v1 " + then + ", eu/app: failed, eu/tool:v1 failed"
		if r, got := y.run(rule, Write); got != want || r.Outcome != Partly {
			t.Errorf("%s\n%+v", got, r)
		}
	}
}

func TestAnErrorInARuleIsItsResult(t *testing.T) {
	y := newYard(t, nil)
	random(t, y.src, "app", "v1", 1)
	for text, kind := range map[string]fault.Kind{
		"name: x\nsources: [src]\ntargets: [dst, dst]":                        "", // refused when it is read
		"name: x\nsource: src\ntargets: [dst/app, eu]":                        fault.Invalid,
		"name: x\nsource: src\ntargets: [dst, " + y.dst.Host + "]":            fault.Invalid,
		"name: x\nsource: src/none\ntarget: dst":                              fault.NotFound,
		"name: x\nimage: src/app@sha256:1\ntarget: dst":                       fault.Invalid,
		"name: x\nsource: 127.0.0.1:1\ntarget: dst\noverwrite: update":        fault.Unavailable,
		"name: x\nsource: src/app\ntarget: dst\nmin-tags: 3":                  fault.Refused,
		"name: x\nsource: src/app\ntarget: dst\nmap: {v1: a}\nrename: s/^/a/": "",
	} {
		if kind == "" {
			continue
		}
		if r, got := y.run(y.rule(text), Write); r.Outcome != Failed || !fault.Is(r.Err(), kind) {
			t.Errorf("%s: %s %+v", text, got, r)
		}
	}
}

func TestARunThatIsStoppedSaysSo(t *testing.T) {
	y := newYard(t, nil)
	random(t, y.src, "app", "v1", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Run(ctx, y.Dray, y.rule("name: x\nsource: src\ntarget: dst"), nil, Write, nil, nil)
	if r.Outcome != Stopped || !fault.Is(r.Err(), fault.Canceled) {
		t.Errorf("%+v", r)
	}
}

func TestTheStateKeepsTheLastRunAndTheLastGoodOne(t *testing.T) {
	s, err := StateFor(t.TempDir(), "mirrors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Read("x"); ok {
		t.Error("a result was read, but none was stored")
	}
	good := Result{Rule: "x", Outcome: OK, Began: time.Unix(1000, 0).UTC(), Drift: 3}
	bad := Result{Rule: "x", Outcome: Failed, Began: time.Unix(2000, 0).UTC()}
	for _, r := range []Result{good, bad, {Rule: "x", Outcome: Skipped}, {Rule: "x", Outcome: OK, DryRun: true}} {
		if err := s.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	k, ok := s.Read("x")
	if !ok || k.Last.Outcome != Failed || k.Good == nil || !k.Good.Began.Equal(good.Began) {
		t.Errorf("%+v", k)
	}
	if err := s.Write(Result{Rule: "x", Outcome: Partly}); err != nil {
		t.Fatal(err)
	}
	if k, _ := s.Read("x"); k.Good == nil || !k.Good.Began.Equal(good.Began) {
		t.Errorf("%+v", k)
	}
	unlock, alone, err := s.Lock(t.Context(), "x")
	if err != nil || !alone {
		t.Fatal(alone, err)
	}
	if _, alone, err := s.Lock(t.Context(), "x"); alone || err != nil {
		t.Error(alone, err)
	}
	unlock()
	if left, err := filepath.Glob(filepath.Join(s.Dir, ".new-*")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "x.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Read("x"); ok {
		t.Error("an incomplete file was read")
	}
}

// With the next run, a mirror brings what was signed after an image was copied.
func TestAMirrorBringsWhatWasSignedLater(t *testing.T) {
	for choice, arrives := range map[string]bool{"": true, "\nreferrers: sync": true, "\nreferrers: true": false, "\nreferrers: false": false} {
		y := newYard(t, nil)
		img := testbed.Random(t, y.src, "team/app", "v1", testbed.RandomOptions{})
		rule := y.rule("name: x\nsource: src/team/\ntarget: dst/mirror/\nevery: 6h\ninclude-tags: v*" + choice)
		if r, _ := y.run(rule, Write); r.Err() != nil {
			t.Fatal(r.Err())
		}
		signature := testbed.Artifact(t, y.src, "team/app", "", img.Root)
		if r, _ := y.run(rule, Write); r.Err() != nil {
			t.Fatal(r.Err())
		}
		resp := y.dst.Direct(t, "HEAD", "/v2/mirror/team/app/manifests/"+signature.Digest(), http.Header{"Accept": oci.Accept}, nil, nil)
		if arrived := resp.StatusCode == http.StatusOK; arrived != arrives {
			t.Errorf("%q: arrived: %v\n%s", choice, arrived, y.dst.Story())
		}
	}
}

// A dry run counts what a run brings, for repositories and for images that are named.
func TestADryRunOfARuleCountsReferrersAsTheRunDoes(t *testing.T) {
	for _, source := range []string{"source: src/team/\ntarget: dst/mirror/", "images: [src/team/app:v1]\ntarget: dst"} {
		y := newYard(t, nil)
		img := testbed.Random(t, y.src, "team/app", "v1", testbed.RandomOptions{})
		rule := y.rule("name: x\nevery: 6h\n" + source)
		y.run(rule, Write)
		testbed.Artifact(t, y.src, "team/app", "", img.Root)
		if r, _ := y.run(rule, DryRun); r.Err() != nil || r.Referrers.Planned != 1 || r.Referrers.Copied != 0 {
			t.Errorf("%s: %v %+v", source, r.Err(), r.Referrers)
		}
		if r, _ := y.run(rule, Write); r.Err() != nil || r.Referrers.Copied != 1 {
			t.Errorf("%s: %v %+v", source, r.Err(), r.Referrers)
		}
		if r, _ := y.run(rule, DryRun); r.Err() != nil || r.Referrers.Planned != 0 {
			t.Errorf("%s: %v %+v", source, r.Err(), r.Referrers)
		}
	}
}

// A digest tag is no version of an image: a rule for repositories counts it with what refers to images, as copy does.
func TestARuleCountsADigestTagWithWhatRefersToImages(t *testing.T) {
	y := newYard(t, nil)
	img := testbed.Random(t, y.src, "team/app", "v1", testbed.RandomOptions{})
	signature := oci.DigestTags(img.Root.Digest)[0]
	random(t, y.src, "team/app", signature, 7)
	rule := y.rule("name: x\nsource: src/team/\ntargets: [dst/mirror/, eu/mirror/]\nevery: 6h")
	for _, want := range []struct {
		mode             Mode
		done, same       int
		drift            int
		planned, arrived int
	}{{DryRun, 1, 0, 2, 2, 0}, {Write, 1, 0, 2, 0, 2}, {Write, 0, 1, 0, 0, 0}} {
		r, _ := y.run(rule, want.mode)
		at := y.target(r, y.eu.Host)
		if r.Err() != nil || at.Done != want.done || at.Unchanged != want.same || r.Drift != want.drift ||
			r.Referrers.Planned != want.planned || r.Referrers.Copied != want.arrived {
			t.Errorf("%v: %v %+v", want, r.Err(), r)
		}
	}
	random(t, y.dst, "mirror/team/app", signature, 8)
	r, _ := y.run(rule, Write)
	if at := y.target(r, y.dst.Host); at.Unchanged != 1 || r.Referrers.Kept != 1 || r.Referrers.Lost[0].Hint != "to replace it, use overwrite: always" {
		t.Errorf("kept: %+v", r)
	}
}

func TestImagesOfARuleAreWrittenIntoOneArchive(t *testing.T) {
	for _, transport := range []string{ref.Archive, ref.DockerArchive} {
		y := newYard(t, nil)
		random(t, y.src, "team/app", "v1", 1)
		random(t, y.src, "library/nginx", "1.25", 2)
		file := filepath.Join(t.TempDir(), "all.tar")
		rule := y.rule("name: all\nimages: [src/team/app:v1, src/library/nginx:1.25]\ntarget: '" + transport + file + "/'")
		for _, state := range []string{"done", "unchanged"} {
			r, got := y.run(rule, Write)
			want := fmt.Sprintf("/%[1]s/library/nginx:1.25 %[2]s, /%[1]s/team/app:v1 %[2]s", y.src.Host, state)
			if r.Outcome != OK || got != want || len(r.Targets) != 1 || r.Targets[0].Host != transport+file {
				t.Errorf("%s: %s\n%+v", transport, got, r)
			}
		}
	}
}
