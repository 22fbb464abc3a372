package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// The size of a layer of the image under test, and of a part of it.
const (
	faultLayer = 1 << 20
	faultPart  = faultLayer / 4
)

// survived is one fault that a copy must survive: at the source or at the target. The first fault
// must have fired.
type survived struct {
	source, target []*hostile.Fault
	set            dray.Settings // of the target
	used           bool          // the target's repository already has another image
}

func from(faults ...*hostile.Fault) survived { return survived{source: faults} }

func to(faults ...*hostile.Fault) survived { return survived{target: faults} }

// recoverable holds the faults after which a correct tool copies the image without help.
// docs/faults.md reports how other tools behave. The names are those used there.
//
// The faults apply to one layer, because the order of the blobs is not specified. In the cases that
// ask for blobs with HEAD, the target must not be recognized as distribution, since dray does not
// send HEAD requests to distribution.
func recoverable(layer string) map[string]survived {
	cut := func() *hostile.Fault { return hostile.CutBodyAt(2 * faultPart).At(layer).Once() }
	large := func(r *http.Request) bool { return r.ContentLength == faultLayer }
	return map[string]survived{
		"s01 a download is reset half-way":               from(cut()),
		"s02 … and the range is ignored":                 from(hostile.IgnoreRange(), cut()),
		"s03 … and the range is answered 416":            from(hostile.RangeNotSatisfiable(), cut()),
		"s04 a download is reset after each quarter":     from(hostile.CutBodyAt(faultPart).At(layer)),
		"s05 … and the range is another one":             from(hostile.WrongContentRange(), cut()),
		"s07 one bit is flipped once":                    from(hostile.FlipBit(1000).At(layer).Once()),
		"s08 a body ends early in good order":            from(hostile.CleanEOFAt(2 * faultPart).At(layer).Once()),
		"s14 429 with seconds":                           from(hostile.TooMany("2").On("GET", testbed.Manifest).Once()),
		"s15 429 with a date":                            from(hostile.TooManyUntil(3*time.Second).On("GET", testbed.Manifest).Once()),
		"s16 429 five times without a time":              from(hostile.TooMany("").Times(5)),
		"s17 503 twice for a blob":                       from(hostile.Status(503, nil, "").On("GET", testbed.Blob).Times(2)),
		"s18 500 twice for a manifest":                   from(hostile.Status(500, nil, "").On("GET", testbed.Manifest).Times(2)),
		"s20 a download stalls":                          from(hostile.StallAt(2*faultPart, 0).At(layer).Once()),
		"s21 no answer at all":                           from(hostile.NoHeader(0).On("GET", testbed.Blob).Once()),
		"s26 a token is refused early":                   from(hostile.Early401().On("GET", testbed.Blob).Once()),
		"s43 405 to HEAD":                                from(hostile.Status(405, nil, "").On("HEAD", testbed.Manifest)),
		"t02 an upload is reset":                         to(hostile.CutRequestAt(2 * faultPart).When(large).Once()),
		"t03 an upload's session is lost":                to(hostile.DropRequestAt(2 * faultPart).When(large).Once()),
		"t04 500 once to an upload's closing request":    to(hostile.Status(500, nil, "").On("PUT", testbed.Upload).Once()),
		"t05 503 twice to an upload's first request":     to(hostile.Status(503, nil, "").On("POST", testbed.Upload).Times(2)),
		"t06 429 to a manifest":                          to(hostile.TooMany("1").On("PUT", testbed.Manifest).Once()),
		"t09 500 once to a manifest":                     to(hostile.Status(500, nil, "").On("PUT", testbed.Manifest).Once()),
		"t12 HEAD names a blob that is absent":           {target: []*hostile.Fault{hostile.LyingHead(faultLayer)}, set: dray.Settings{Kind: "quay"}, used: true},
		"t13 500 once to HEAD of a blob":                 {target: []*hostile.Fault{hostile.Status(500, nil, "").On("HEAD", testbed.Blob).Once()}, set: dray.Settings{Kind: "quay"}, used: true},
		"t14 416 to a piece of an upload":                {target: []*hostile.Fault{hostile.Error(416, "", "").On("PATCH", testbed.Upload).Nth(2)}, set: dray.Settings{ChunkSize: faultPart}},
		"t15 a stored blob's answer is lost":             to(hostile.LoseAnswer().On("PUT", testbed.Upload).Once()),
		"t16 a stored manifest's answer is lost":         to(hostile.LoseAnswer().On("PUT", testbed.Manifest).Once()),
		"t17 a token is refused in the midst of uploads": to(hostile.Early401().On("PUT", testbed.Upload).Nth(2)),
		"t18 413 above a limit":                          to(hostile.TooLarge(3 * faultPart)),
		"t19 a target stops reading":                     to(hostile.StopReading(faultPart, 0).When(large).Once()),
	}
}

func TestAnImportLivesThroughEachOfThirtyRecoverableFaults(t *testing.T) {
	image := testbed.RandomOptions{Layers: 2, Size: faultLayer}
	layer := testbed.Random(t, testbed.Distribution(t, testbed.Options{}), "app", "v1", image).Layers[0]
	cases := recoverable(string(layer.Digest))
	if len(cases) != 30 {
		t.Fatalf("%d faults, but docs/faults.md compares 30", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			src, dst := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Second) }) // a server waits half a second before it closes a connection early
				serve := testbed.Options{Wire: testbed.Pipes, Auth: testbed.Auth{Mode: testbed.Bearer}, Host: "src.example:5000"}
				a := hostile.Serve(t, src, serve, c.source...)
				serve.Host = "dst.example:5000"
				b := hostile.Serve(t, dst, serve, c.target...)
				testbed.Random(t, a, "app", "v1", image)
				if c.used {
					testbed.Random(t, b, "app", "other", testbed.RandomOptions{Seed: 9})
				}
				c.live(t, a, b)
				testbed.Same(t, a, b, "app", "v1", "app", "v1")
				if first := append(c.source, c.target...)[0]; first.Fired() == 0 {
					t.Errorf("the fault did not fire\n%s\n%s", a.Story(), b.Story())
				}
			})
		})
	}
}

// live imports app:v1 and expects success.
func (c survived) live(t *testing.T, src, dst *testbed.Registry) {
	t.Helper()
	c.set.PlainHTTP = true
	d, err := dray.New(dray.Config{
		Registries: map[string]dray.Registry{
			"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}},
			"dst": {Host: dst.Host, Settings: c.set},
		},
		Logins: credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
			return credential.Login{User: "user", Password: credential.New(testbed.Password)}, true, nil
		}},
		Dial: testbed.Dialer(src, dst),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	start := time.Now()
	y := &yard.Yard{Dray: d, T: t, Src: src, Dst: dst}
	rep, err := y.Import(dray.ImportRequest{Source: "src/app:v1", Target: "dst"})
	if err != nil || rep.Count(dray.Done) != 1 {
		t.Fatalf("%v %s\n%s\n%s", err, yard.States(rep), src.Story(), dst.Story())
	}
	in, _ := dst.Sent("", testbed.Upload)
	_, out := src.Sent("GET", testbed.Blob)
	t.Logf("%v of virtual time, read %.1f MiB, sent %.1f MiB", time.Since(start), float64(out)/faultLayer, float64(in)/faultLayer)
}

func TestF42ATagThatIsListedAndGoneFailsAndIsNamed(t *testing.T) {
	gone := hostile.Error(404, "MANIFEST_UNKNOWN", "").On("", testbed.Manifest).At("v2")
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), gone)
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1", "v2", "v3")
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: dray.AllTags})
	if yard.States(rep) != "app:v1 done, app:v3 done, app:v2 failed" || !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "app:v2") {
		t.Errorf("%s %v", yard.States(rep), err)
	}
}

func TestF56AnAttestationIsCarriedAsItIs(t *testing.T) {
	y := yard.New(t)
	image := testbed.Random(t, y.Src, "app", "plain", testbed.RandomOptions{})
	proof := testbed.Random(t, y.Src, "app", "proof", testbed.RandomOptions{Seed: 2})
	raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[`+
		`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"architecture":"amd64","os":"linux"}},`+
		`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"architecture":"unknown","os":"unknown"},`+
		`"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":%q}}]}`,
		oci.TypeIndex, image.Root.MediaType, image.Digest(), image.Root.Size,
		proof.Root.MediaType, proof.Digest(), proof.Root.Size, image.Digest())
	y.Src.Manifest(t, "app", "v1", oci.TypeIndex, []byte(raw))
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}))
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v1")
	testbed.Same(t, y.Src, y.Dst, "app", proof.Digest(), "app", proof.Digest())
}

func TestF62ASourceTagThatIsDeletedMeanwhileDoesNotMatter(t *testing.T) {
	y := yard.New(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp := y.Src.Direct(t, http.MethodDelete, "/v2/app/manifests/v1", nil, nil, nil); resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status)
	}
	y.Must(y.Applied(p, nil))
	testbed.Same(t, y.Src, y.Dst, "app", img.Digest(), "app", "v1")
}

func TestF79AnIndexThatIsRefusedLeavesTheTagAsItWas(t *testing.T) {
	isIndex := func(r *http.Request) bool { return r.Header.Get("Content-Type") == oci.TypeIndex }
	refuse := hostile.Error(400, "MANIFEST_INVALID", "no lists here").On("PUT", testbed.Manifest).When(isIndex)
	dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), refuse)
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), dst)
	testbed.Index(t, y.Src, "app", "v1", 3)
	before := testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 7})
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}})
	if err == nil || refuse.Fired() == 0 || rep.Count(dray.Failed) != 1 {
		t.Errorf("%v %s", err, yard.States(rep))
	}
	if got := testbed.CraneDigest(t, y.Dst, "app", "v1"); got != before.Digest() {
		t.Errorf("the tag is %s, was %s", got, before.Digest())
	}
}

// The hint is about the file, and not about a registry.
func TestDamageInAnEndOnDiskIsThatOfTheFile(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	dir := filepath.Join(t.TempDir(), "l")
	name := "oci:" + dir + ":v1"
	if _, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{name}}); err != nil {
		t.Fatal(err)
	}
	img, err := y.Inspect(t.Context(), dray.LookRequest{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	layer := filepath.Join(dir, "blobs", "sha256", img.Platforms[0].Layers[0].Digest.Encoded())
	raw, err := os.ReadFile(layer)
	if err == nil {
		raw[0] ^= 1
		err = os.WriteFile(layer, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = y.Copy(dray.CopyRequest{Source: name, Targets: []string{"dst/app:v1"}})
	if !fault.Is(err, fault.Corrupt) || !strings.HasPrefix(fault.HintOf(err), "check the disk") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}
