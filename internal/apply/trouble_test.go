package apply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// trouble is a world in which a repository is copied: what the source has, what the target has already, and what goes
// wrong meanwhile.
type trouble struct {
	images []pictured
	faults []drawn
	pieces bool // the target takes uploads in pieces
}

// pictured is an image of the source, with the tag "v" and its number.
type pictured struct {
	seed   uint64 // images with the same seed and size have the same layers
	layers int
	size   int64
	before string // what the tag names at the target: "nothing", "the same" or "another"
}

// drawn is a fault that fires at some of the requests that it fits.
type drawn struct {
	name    string
	at      int64
	percent int
	seed    uint64
}

// troubles has the faults, each with the side at which it happens. The argument is an offset in bytes.
func troubles() map[string]func(at int64) *hostile.Fault {
	const blob, manifest, upload = testbed.Blob, testbed.Manifest, testbed.Upload
	return map[string]func(int64) *hostile.Fault{
		"source: a download is reset":       hostile.CutBodyAt,
		"source: a bit is flipped":          hostile.FlipBit,
		"source: a body ends early":         hostile.CleanEOFAt,
		"source: a body is longer":          func(int64) *hostile.Fault { return hostile.LongerBody(3) },
		"source: a download stalls":         func(at int64) *hostile.Fault { return hostile.StallAt(at, 0) },
		"source: no answer":                 func(int64) *hostile.Fault { return hostile.NoHeader(0).On("GET", blob) },
		"source: a range is ignored":        func(int64) *hostile.Fault { return hostile.IgnoreRange() },
		"source: another range":             func(int64) *hostile.Fault { return hostile.WrongContentRange() },
		"source: 429":                       func(int64) *hostile.Fault { return hostile.TooMany("2").On("GET", "") },
		"source: 503 to a blob":             func(int64) *hostile.Fault { return hostile.Status(503, nil, "").On("GET", blob) },
		"source: 500 to a manifest":         func(int64) *hostile.Fault { return hostile.Status(500, nil, "").On("GET", manifest) },
		"source: a token is refused":        func(int64) *hostile.Fault { return hostile.Early401() },
		"source: no digest in answers":      func(int64) *hostile.Fault { return hostile.NoDigestHeader() },
		"target: an upload is reset":        hostile.CutRequestAt,
		"target: a session is lost":         hostile.DropRequestAt,
		"target: it stops reading":          func(at int64) *hostile.Fault { return hostile.StopReading(at, 0) },
		"target: 503 to a new upload":       func(int64) *hostile.Fault { return hostile.Status(503, nil, "").On("POST", upload) },
		"target: 500 to the end":            func(int64) *hostile.Fault { return hostile.Status(500, nil, "").On("PUT", upload) },
		"target: the answer to an end":      func(int64) *hostile.Fault { return hostile.LoseAnswer().On("PUT", upload) },
		"target: the answer to a begin":     func(int64) *hostile.Fault { return hostile.LoseAnswer().On("POST", upload) },
		"target: 429 to a manifest":         func(int64) *hostile.Fault { return hostile.TooMany("1").On("PUT", manifest) },
		"target: 500 to a manifest":         func(int64) *hostile.Fault { return hostile.Status(500, nil, "").On("PUT", manifest) },
		"target: the answer to a manifest":  func(int64) *hostile.Fault { return hostile.LoseAnswer().On("PUT", manifest) },
		"target: 201 without a word":        func(int64) *hostile.Fault { return hostile.Lying201("").On("PUT", manifest) },
		"target: a token is refused":        func(int64) *hostile.Fault { return hostile.Early401() },
		"target: no digest in answers":      func(int64) *hostile.Fault { return hostile.NoDigestHeader() },
		"target: 502 to anything":           func(int64) *hostile.Fault { return hostile.Status(502, nil, "") },
		"target: 500 to questions of tags":  func(int64) *hostile.Fault { return hostile.Status(500, nil, "").On("HEAD", manifest) },
		"target: 500 to questions of blobs": func(int64) *hostile.Fault { return hostile.Status(500, nil, "").On("HEAD", blob) },
	}
}

func drawTrouble(t *rapid.T) trouble {
	w := trouble{pieces: rapid.Bool().Draw(t, "pieces")}
	for range rapid.IntRange(1, 4).Draw(t, "images") {
		w.images = append(w.images, pictured{
			seed:   rapid.Uint64Range(1, 4).Draw(t, "seed"),
			layers: rapid.IntRange(1, 3).Draw(t, "layers"),
			size:   rapid.Int64Range(1, 60_000).Draw(t, "size"),
			before: rapid.SampledFrom([]string{"nothing", "the same", "another"}).Draw(t, "before"),
		})
	}
	var names []string
	for name := range troubles() {
		names = append(names, name)
	}
	// The order of a map changes; the draw must not.
	slices.Sort(names)
	for range rapid.IntRange(0, 4).Draw(t, "faults") {
		w.faults = append(w.faults, drawn{
			name:    rapid.SampledFrom(names).Draw(t, "fault"),
			at:      rapid.Int64Range(0, 60_000).Draw(t, "at"),
			percent: rapid.IntRange(1, 25).Draw(t, "percent"),
			seed:    rapid.Uint64().Draw(t, "dice"),
		})
	}
	return w
}

// Whatever goes wrong, each tag of the target names what it named before, or the whole image of the source; exit 0 means
// all images; the report counts the requests that the registries got; and when the trouble is over, a second run
// completes the copy, and a third one sends nothing.
//
// rapid makes a world that breaks a promise as small as it can, and keeps it in testdata/rapid.
func TestNoTroubleBreaksAPromise(t *testing.T) {
	worlds := "2000"
	switch soak := os.Getenv("DRAY_SOAK"); {
	case soak != "":
		worlds = soak + "00"
	case testing.Short():
		worlds = "50"
	case yard.Small():
		worlds = "150"
	}
	if err := flag.Set("rapid.checks", worlds); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := drawTrouble(rt)
		src, dst := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
		var broken string
		synctest.Test(t, func(t *testing.T) {
			t.Cleanup(func() { time.Sleep(time.Second) })
			broken = w.live(t, src, dst)
		})
		if broken != "" {
			rt.Fatalf("%+v\n%s", w, broken)
		}
	})
}

// live copies the repository three times, the first time in trouble. It returns which promise was broken, or "".
func (w trouble) live(t *testing.T, src, dst http.Handler) (broken string) {
	t.Helper()
	var over sync.Once
	calm := make(chan struct{})
	end := func() { over.Do(func() { close(calm) }) }
	defer end()
	sides := map[string][]*hostile.Fault{}
	for _, f := range w.faults {
		side, _, _ := strings.Cut(f.name, ":")
		sides[side] = append(sides[side], f.fault(calm))
	}
	serve := testbed.Options{Wire: testbed.Pipes, Auth: testbed.Auth{Mode: testbed.Bearer}, Host: "src.example:5000"}
	a := hostile.Serve(t, src, serve, sides["source"]...)
	serve.Host = "dst.example:5000"
	b := hostile.Serve(t, dst, serve, sides["target"]...)
	before, want := w.fill(t, a, b)
	d, err := dray.New(dray.Config{
		Registries: map[string]dray.Registry{
			"src": {Host: a.Host, Settings: dray.Settings{PlainHTTP: true}},
			"dst": {Host: b.Host, Settings: dray.Settings{PlainHTTP: true, ChunkSize: map[bool]int64{true: 4096}[w.pieces]}},
		},
		Logins: credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
			return credential.Login{User: "user", Password: credential.New(testbed.Password)}, true, nil
		}},
		Dial: testbed.Dialer(a, b),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a.Reset()
	b.Reset()
	rep, err := copyAll(t.Context(), d)
	time.Sleep(time.Minute) // a registry notes a request that was cut when it notices
	now, torn := tags(t, b)
	switch {
	case torn != "":
		return torn
	case err == nil && len(missing(now, want)) > 0:
		return fmt.Sprintf("the copy succeeded without %v: %s\n%s", missing(now, want), yard.States(rep), b.Story())
	}
	for tag, digest := range now {
		if digest != before[tag] && digest != want[tag] {
			return fmt.Sprintf("%s is %s, was %s, should be %s\n%s", tag, digest, before[tag], want[tag], b.Story())
		}
	}
	for _, r := range []*testbed.Registry{a, b} {
		if got := rep.Traffic[r.Host].Requests; err == nil && !w.stalls() && got != r.Requests() {
			return fmt.Sprintf("the report counts %d requests to %s, which got %d\n%s", got, r.Host, r.Requests(), r.Story())
		}
	}
	end()
	if rep, err = copyAll(t.Context(), d); err != nil {
		return fmt.Sprintf("after the trouble: %v: %s\n%s\n%s", err, yard.States(rep), a.Story(), b.Story())
	}
	if now, torn = tags(t, b); torn != "" || len(missing(now, want)) > 0 {
		return fmt.Sprintf("after the trouble: %s; %v are missing\n%s", torn, missing(now, want), b.Story())
	}
	a.Reset()
	b.Reset()
	if _, err = copyAll(t.Context(), d); err != nil || b.Count("PUT", "")+b.Count("POST", "")+b.Count("PATCH", "")+a.Count("GET", testbed.Blob) > 0 {
		return fmt.Sprintf("a third run sends again: %v\n%s\n%s", err, a.Story(), b.Story())
	}
	return ""
}

// stalls reports whether a download may stall after its last byte. The client has it all then, and the registry does not
// note the request before the test ends.
func (w trouble) stalls() bool {
	return slices.ContainsFunc(w.faults, func(f drawn) bool { return f.name == "source: a download stalls" })
}

// fault returns f, which fires until calm is closed.
func (f drawn) fault(calm <-chan struct{}) *hostile.Fault {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(f.seed, 1))
	return troubles()[f.name](f.at).When(func(*http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		select {
		case <-calm:
			return false
		default:
			return dice.IntN(100) < f.percent
		}
	})
}

// fill stores the images, and returns the digests of the tags at the target before the copy, and of those at the source.
func (w trouble) fill(t *testing.T, a, b *testbed.Registry) (before, want map[string]string) {
	t.Helper()
	before, want = map[string]string{}, map[string]string{}
	for i, image := range w.images {
		tag := fmt.Sprint("v", i)
		o := testbed.RandomOptions{Seed: image.seed, Layers: image.layers, Size: image.size}
		want[tag] = testbed.Random(t, a, "app", tag, o).Digest()
		switch image.before {
		case "the same":
			before[tag] = testbed.Random(t, b, "app", tag, o).Digest()
		case "another":
			before[tag] = testbed.Random(t, b, "app", tag, testbed.RandomOptions{Seed: 99, Size: 100}).Digest()
		}
	}
	return before, want
}

func copyAll(ctx context.Context, d *dray.Dray) (dray.Report, error) {
	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: plan.AllTags}, nil)
	if err != nil {
		return dray.Report{}, err
	}
	rep, err := d.Apply(ctx, p, nil)
	if err == nil && rep.Count(dray.Failed) > 0 {
		err = errors.New("steps failed without an error")
	}
	return rep, err
}

// tags returns the digests of the tags of the target, and what is missing of an image that a tag names.
func tags(t *testing.T, b *testbed.Registry) (now map[string]string, torn string) {
	t.Helper()
	now = map[string]string{}
	var list struct{ Tags []string }
	if get(t, b, "GET", "/v2/app/tags/list", &list) != http.StatusOK {
		return now, ""
	}
	for _, tag := range list.Tags {
		var m v1.Manifest
		resp := b.Direct(t, "GET", "/v2/app/manifests/"+tag, testbed.EveryType(), nil, nil)
		if status := get(t, b, "GET", "/v2/app/manifests/"+tag, &m); status != http.StatusOK {
			return now, fmt.Sprintf("%s is listed, and answers %d", tag, status)
		}
		now[tag] = resp.Header.Get("Docker-Content-Digest")
		for _, blob := range append(m.Layers, m.Config) {
			if status := get(t, b, "HEAD", "/v2/app/blobs/"+blob.Digest.String(), nil); status != http.StatusOK {
				return now, fmt.Sprintf("%s lacks %s\n%s", tag, blob.Digest, b.Story())
			}
		}
	}
	return now, ""
}

// get reads JSON from the registry behind its faults.
func get(t *testing.T, r *testbed.Registry, method, path string, v any) (status int) {
	t.Helper()
	var body bytes.Buffer
	resp := r.Direct(t, method, path, testbed.EveryType(), nil, &body)
	if resp.StatusCode == http.StatusOK && v != nil {
		if err := json.Unmarshal(body.Bytes(), v); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode
}

// missing lists the tags that do not have the digest that they should.
func missing(now, want map[string]string) (all []string) {
	for tag, digest := range want {
		if now[tag] != digest {
			all = append(all, tag)
		}
	}
	return all
}
