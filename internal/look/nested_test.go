package look_test

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Digest, copy and verify give one answer about an index in an index: it is for what the images in it are for.
func TestAnIndexInAnIndexIsForThePlatformsOfItsImages(t *testing.T) {
	y := yard.New(t)
	ctx := t.Context()
	inner := testbed.Index(t, y.Src, "app", "inner", 3) // linux/amd64, linux/arm64, linux/arm
	other := testbed.Index(t, y.Src, "app", "other", 4).Children[3]
	other.Platform = &v1.Platform{OS: "linux", Architecture: "s390x"}
	list := v1.Index{MediaType: oci.TypeIndex, Manifests: []v1.Descriptor{inner.Root, other}}
	list.SchemaVersion = 2
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	y.Src.Manifest(t, "app", "v1", oci.TypeIndex, raw)
	if raw, err = json.Marshal(v1.Index{Versioned: list.Versioned, MediaType: oci.TypeIndex, Manifests: []v1.Descriptor{inner.Root}}); err != nil {
		t.Fatal(err)
	}
	y.Src.Manifest(t, "app", "deep", oci.TypeIndex, raw)

	one := func(words string) []oci.Platform {
		only, err := oci.ParsePlatforms(words)
		if err != nil {
			t.Fatal(err)
		}
		return only
	}
	for words, want := range map[string]oci.Digest{"linux/arm64": inner.Children[1].Digest, "linux/s390x": other.Digest} {
		d, err := y.Digest(ctx, dray.LookRequest{Name: "src/app:v1", Platform: one(words)[0]}, nil)
		if err != nil || d.Digest != want {
			t.Errorf("%s: %s, want %s: %v", words, d.Digest, want, err)
		}
	}
	if d, err := y.Digest(ctx, dray.LookRequest{Name: "src/app:deep", Platform: one("linux/amd64")[0]}, nil); err != nil || d.Digest != inner.Children[0].Digest {
		t.Errorf("%s: %v", d.Digest, err)
	}
	_, err = y.Digest(ctx, dray.LookRequest{Name: "src/app:deep", Platform: one("linux/s390x")[0]}, nil)
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "it has no linux/s390x; it has linux/amd64,linux/arm64/v8,") {
		t.Error(err)
	}
	for _, form := range []plan.Form{"", plan.Sparse} {
		for words, want := range map[string]struct{ has, lacks oci.Digest }{
			"linux/arm64": {inner.Root.Digest, other.Digest}, "linux/s390x": {other.Digest, inner.Root.Digest},
		} {
			to := "dst/" + strings.TrimPrefix(words, "linux/") + string(form)
			req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{to + ":v1"}, Platforms: plan.Platforms{Only: one(words), Form: form}}
			if _, err := y.Copy(req); err != nil {
				t.Fatalf("%s: %v", to, err)
			}
			if _, err := y.Digest(ctx, dray.LookRequest{Name: to + "@" + string(want.has)}, nil); err != nil {
				t.Errorf("%s lacks what was asked for: %v", to, err)
			}
			if _, err := y.Digest(ctx, dray.LookRequest{Name: to + "@" + string(want.lacks)}, nil); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s has what was left out: %v", to, err)
			}
			again, err := y.Copy(req)
			if err != nil || again.Steps[0].Action != plan.Skip {
				t.Errorf("%s, again: %+v, %v", to, again, err)
			}
		}
	}
	_, err = y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/none:v1"}, Platforms: plan.Platforms{Only: one("linux/ppc64le")}})
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "linux/amd64,linux/arm64/v8") {
		t.Error(err)
	}
}
