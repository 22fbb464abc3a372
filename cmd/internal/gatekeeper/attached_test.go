package gatekeeper_test

import (
	"net/http"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func TestARequiredTypeCountsOnTheImagesBelowAnIndexToo(t *testing.T) {
	for name, tt := range map[string]struct {
		attach func(t *testing.T, r *testbed.Registry, all testbed.Image)
		want   string // the type
		fails  bool
	}{
		"referrer of a child": {func(t *testing.T, r *testbed.Registry, all testbed.Image) {
			t.Helper()
			testbed.Artifact(t, r, "app", "", all.Children[1])
		}, testbed.ArtifactType, false},
		"digest tag of a child": {func(t *testing.T, r *testbed.Registry, all testbed.Image) {
			t.Helper()
			signed(t, r, "app", v1.Descriptor{Digest: all.Children[1].Digest}, 1)
		}, evidence.TypePayload, false},
		"artifact type under a digest tag": {func(t *testing.T, r *testbed.Registry, all testbed.Image) {
			t.Helper()
			testbed.Artifact(t, r, "app", oci.FallbackTag(all.Root.Digest)+".sbom", oci.Descriptor{})
		}, testbed.ArtifactType, false},
		"only what refers to a referrer": {func(t *testing.T, r *testbed.Registry, all testbed.Image) {
			t.Helper()
			sbom := testbed.Artifact(t, r, "app", "", all.Root)
			signed(t, r, "app", v1.Descriptor{Digest: sbom.Root.Digest}, 1)
		}, evidence.TypePayload, true},
	} {
		t.Run(name, func(t *testing.T) {
			y := yard.New(t)
			all := testbed.Index(t, y.Src, "app", "v1", 2)
			g := gates.Gate{Referrers: []string{tt.want}}
			if err := through(t, y, "src/app:v1", g, nil); !fault.Is(err, fault.Refused) ||
				!strings.Contains(err.Error(), "no document of the type "+tt.want+" refers to it; nothing refers to it") {
				t.Errorf("before: %v", err)
			}
			tt.attach(t, y.Src, all)
			if err := through(t, y, "src/app:v1", g, nil); fault.Is(err, fault.Refused) != tt.fails || err != nil && !tt.fails {
				t.Errorf("after: %v", err)
			}
		})
	}
}

// impatient lets the Dray of y try each request once.
func impatient(t *testing.T, y *yard.Yard) {
	t.Helper()
	settings := dray.Settings{PlainHTTP: true}
	d, err := dray.New(dray.Config{Limits: dray.Limits{Retries: 1}, Registries: map[string]dray.Registry{
		"src": {Host: y.Src.Host, Settings: settings}, "dst": {Host: y.Dst.Host, Settings: settings},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	y.Dray = d
}

// A registry that does not answer has not said that there is nothing.
func TestAnImageIsRefusedIfItsSourceDoesNotSayWhatRefersToIt(t *testing.T) {
	for _, code := range []int{401, 403, 500} {
		mute := hostile.Error(code, "DENIED", "no right to list").On(http.MethodGet, testbed.Referrer)
		front := func(next http.Handler) http.Handler { return hostile.Wrap(next, mute) }
		with := testbed.Options{Referrers: testbed.WithReferrers}
		y := yard.Of(t, testbed.Distribution(t, testbed.Options{Front: front}), testbed.Sloppy(t, with))
		impatient(t, y)
		image := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
		for name, g := range map[string]gates.Gate{
			"a type":      {Referrers: []string{testbed.ArtifactType}},
			"a signature": {Signature: gates.Signature{Keys: []string{publicKey(t)}}},
		} {
			err := through(t, y, "src/app:v1", g, drayd(t, "good"))
			if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "what refers to it cannot be read: ") || fault.HintOf(err) == "" {
				t.Errorf("%d, %s: %v (hint: %s)", code, name, err, fault.HintOf(err))
			}
		}
		// The signature under the digest tag is enough.
		signed(t, y.Src, "app", image.Root, 1)
		g := gates.Gate{Name: "prod", Signature: gates.Signature{Keys: []string{publicKey(t)}}}
		for v, want := range map[string]string{"good": "", "distrusts": "what refers to it cannot be read: "} {
			k, err := gatekeeper.New(g, drayd(t, v))
			if err != nil {
				t.Fatal(err)
			}
			p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/x:y"}, Gate: k,
				Referrers: plan.Referrers{Mode: plan.ReferrersNone}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			if s := p.Steps[0]; s.Problem != nil {
				said = s.Problem.Message
			}
			if (said == "") != (want == "") || !strings.Contains(said, want) || want != "" && !strings.Contains(said, "is not trusted") {
				t.Errorf("%d, %s: %q", code, v, said)
			}
		}
	}
}

// The children of a trimmed index are named by the index that was signed.
func TestAGateSeesTheSignatureOfTheWholeIndexAndTheSizeOfWhatMoves(t *testing.T) {
	y := yard.New(t)
	all := testbed.Index(t, y.Src, "app", "v1", 4)
	for _, form := range []plan.Form{plan.Trimmed, plan.Sparse} {
		only := plan.Platforms{Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}, Form: form}
		asked := func(g gates.Gate) error {
			g.Name = "prod"
			k, err := gatekeeper.New(g, drayd(t, "good"))
			if err != nil {
				t.Fatal(err)
			}
			p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/x/app:v1"},
				Gate: k, Platforms: only}, nil)
			if err != nil {
				return err
			}
			if s := p.Steps[0]; s.Problem != nil {
				return s.Problem.Err()
			}
			return nil
		}
		for name, g := range map[string]gates.Gate{
			"one platform": {MaxSize: all.Bytes},
			"the platform": {Platforms: []string{"linux/amd64"}},
		} {
			if err := asked(g); err != nil {
				t.Errorf("%s, %s: %v", form, name, err)
			}
		}
		for name, g := range map[string]gates.Gate{
			"too large":   {MaxSize: 100},
			"a platform":  {Platforms: []string{"linux/arm64"}},
			"no document": {Referrers: []string{testbed.ArtifactType}},
			"unsigned":    {Signature: gates.Signature{Keys: []string{publicKey(t)}}},
		} {
			if err := asked(g); !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "gate prod refuses") {
				t.Errorf("%s, %s: %v", form, name, err)
			}
		}
	}
	signed(t, y.Src, "app", all.Root, 1)
	testbed.Artifact(t, y.Src, "app", "", all.Root)
	g := gates.Gate{Name: "prod", Signature: gates.Signature{Keys: []string{publicKey(t)}}, Referrers: []string{testbed.ArtifactType}}
	k, err := gatekeeper.New(g, drayd(t, "good"))
	if err != nil {
		t.Fatal(err)
	}
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Gate: k,
		Platforms: plan.Platforms{Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}}}))
}
