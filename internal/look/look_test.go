package look_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// F-59
func TestAChildThatIsMissingIsNamedWithItsPlatform(t *testing.T) {
	y := yard.New(t)
	img := testbed.Index(t, y.Src, "app", "v1", 3)
	index, err := y.Manifest(t.Context(), dray.LookRequest{Name: "src/app:v1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	child := string(index.Documents[1].Digest)
	gone, err := y.PlanRemove(t.Context(), dray.RemoveRequest{Image: "src/app@" + child, What: dray.RemoveManifest}, nil)
	if err == nil {
		err = y.Remove(t.Context(), gone, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, copied := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}})
	_, looked := y.Inspect(t.Context(), dray.LookRequest{Name: "src/app:v1"}, nil)
	for verb, err := range map[string]error{"copy": copied, "inspect": looked} {
		says := "/app@" + img.Digest() + ": not found: it lists " + child + " (linux/arm64/v8), which the registry does not have"
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), says) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if n := y.Dst.Count("PUT", ""); n != 0 {
		t.Errorf("%d PUT requests at the target", n)
	}
}

// F-225: docker with the store of containerd saves an index whole, and the content of the platforms that it has.
func TestF225AnImageOfWhichOnlySomePlatformsAreOnDiskIsShownAndSaysWhich(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "app", "v1", 3)
	dir := filepath.Join(t.TempDir(), "l")
	name := "oci:" + dir + ":v1"
	if _, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{name}}); err != nil {
		t.Fatal(err)
	}
	whole, err := y.Inspect(t.Context(), dray.LookRequest{Name: name}, nil)
	if err != nil || len(whole.Platforms) != 3 {
		t.Fatalf("%+v %v", whole, err)
	}
	lose := func(d oci.Digest) {
		if err := os.Remove(filepath.Join(dir, "blobs", "sha256", d.Encoded())); err != nil {
			t.Fatal(err)
		}
	}
	lose(whole.Platforms[1].Digest)
	lose(whole.Platforms[2].Config)
	got, err := y.Inspect(t.Context(), dray.LookRequest{Name: name}, nil)
	if err != nil || len(got.Platforms) != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	for i, p := range got.Platforms {
		if p.Platform != whole.Platforms[i].Platform || p.Missing != (i > 0) {
			t.Errorf("%+v", p)
		}
	}
	there := whole.Platforms[0].Platform
	hint := "use --platform " + there + ", the only one that is there; with --sparse, the index stays as it is"
	for _, to := range []string{"dst/app:v1", "oci-archive:" + filepath.Join(t.TempDir(), "x.tar")} {
		_, err = y.Copy(dray.CopyRequest{Source: name, Targets: []string{to}})
		if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != hint {
			t.Errorf("%s: %v (hint: %s)", to, err, fault.HintOf(err))
		}
	}
	one, err := oci.ParsePlatform(there)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []plan.Form{plan.Sparse, plan.Trimmed} {
		only := plan.Platforms{Only: []oci.Platform{one}, Form: form}
		if _, err := y.Copy(dray.CopyRequest{Source: name, Targets: []string{"dst/part:v" + string(form)}, Platforms: only}); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
	// If a manifest is there and its content is not, the hint is the same.
	put, err := y.Manifest(t.Context(), dray.LookRequest{Name: "src/app@" + string(whole.Platforms[1].Digest)}, nil)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "blobs", "sha256", put.Digest.Encoded()), put.Raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = y.Copy(dray.CopyRequest{Source: name, Targets: []string{"dst/other:v1"}})
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "which are there") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

func TestSizesOfNestedIndexesAreThoseOfEverythingBelow(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "app", "v1", 3)
	flat, err := y.Inspect(t.Context(), dray.LookRequest{Name: "src/app:v1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	testbed.Nested(t, y.Src, "app", "deep", 3)
	deep, err := y.Inspect(t.Context(), dray.LookRequest{Name: "src/app:deep"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	inner := deep.Platforms[0]
	leaf := inner.Platforms[0].Platforms[0]
	if inner.Size != leaf.Size || leaf.Size == 0 || len(leaf.Layers) != 1 || leaf.Platform != "linux/amd64" || inner.Config != "" {
		t.Errorf("%+v", deep)
	}
	// One index lists the index, and an image that the index lists too: what both hold counts once.
	both := index(t, y, "both", "["+descriptor(flat.MediaType, flat.Digest, flat.Size)+","+
		descriptor(flat.Platforms[0].MediaType, flat.Platforms[0].Digest, manifestSize(t, y, flat.Platforms[0].Digest))+"]")
	got, err := y.Inspect(t.Context(), dray.LookRequest{Name: "src/app:both"}, nil)
	if err != nil || got.Total != flat.Total+both || len(got.Platforms) != 2 || len(got.Platforms[0].Platforms) != 3 {
		t.Errorf("%+v %v", got, err)
	}
	var sum int64
	for _, v := range flat.Platforms {
		sum += v.Size
	}
	if size := got.Platforms[0].Size; size == 0 || size >= sum { // the platforms share a layer
		t.Errorf("%d bytes, and its platforms have %d", size, sum)
	}
}

// index stores an index and returns its size.
func index(t *testing.T, y *yard.Yard, tag, children string) int64 {
	t.Helper()
	raw := `{"schemaVersion":2,"mediaType":"` + oci.TypeIndex + `","manifests":` + children + `}`
	return y.Src.Manifest(t, "app", tag, oci.TypeIndex, []byte(raw)).Size
}

func descriptor(mediaType string, d oci.Digest, size int64) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, d, size)
}

func manifestSize(t *testing.T, y *yard.Yard, d oci.Digest) int64 {
	t.Helper()
	desc, err := y.Digest(t.Context(), dray.LookRequest{Name: "src/app@" + string(d)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return desc.Size
}

// One platform of an index is one image, whose digest, manifest and content are shown.
func TestOnePlatformOfAnIndexIsAnImage(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 5)
	testbed.Random(t, y.Src, "app", "single", testbed.RandomOptions{})
	testbed.HelmChart(t, y.Src, "app", "chart")
	ctx := t.Context()
	ask := func(name, platform string) dray.LookRequest {
		all, err := oci.ParsePlatforms(platform)
		if err != nil {
			t.Fatal(err)
		}
		return dray.LookRequest{Name: name, Platform: all[0]}
	}
	arm, want := ask("src/app:v1", "linux/arm64"), m.Children[1].Digest
	y.Forget()
	if d, err := y.Digest(ctx, arm, nil); err != nil || d.Digest != want {
		t.Errorf("%+v %v", d, err)
	}
	y.WantSpent("GET manifest ×1", "")
	if doc, err := y.Manifest(ctx, arm, nil); err != nil || doc.Digest != want || oci.Sum(doc.Raw) != want {
		t.Errorf("%+v %v", doc.Descriptor, err)
	}
	if img, err := y.Inspect(ctx, arm, nil); err != nil || img.Digest != want || len(img.Platforms) != 1 || img.Platforms[0].Platform != "linux/arm64/v8" {
		t.Errorf("%+v %v", img, err)
	}
	if b, err := y.ImageConfig(ctx, arm, nil); err != nil || !strings.Contains(string(b), `"architecture":"arm64"`) {
		t.Errorf("%s %v", b, err)
	}
	_, err := y.Digest(ctx, ask("src/app:v1", "linux/ppc64le"), nil)
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "it has no linux/ppc64le; it has linux/amd64,linux/arm64/v8,") {
		t.Error(err)
	}
	for name, ok := range map[string]bool{"src/app:single": false, "src/app:chart": true} { // the config of the other is for amd64
		if _, err := y.Digest(ctx, ask(name, "linux/arm64"), nil); (err == nil) != ok || !ok && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	windows := strings.NewReplacer("20348.2527", "17763.1999")
	raw := string(y.Raw(y.Src, "app", "v1", oci.TypeIndex))
	entry := windows.Replace(entryOf(raw, m.Children[4].Digest))
	entry = strings.Replace(entry, string(m.Children[4].Digest), string(m.Children[0].Digest), 1)
	entry = strings.Replace(entry, fmt.Sprintf(`"size":%d`, m.Children[4].Size), fmt.Sprintf(`"size":%d`, m.Children[0].Size), 1)
	raw = strings.Replace(raw, `"manifests":[`+entryOf(raw, m.Children[0].Digest)+",", `"manifests":[`+entry+",", 1)
	y.Src.Manifest(t, "app", "win", oci.TypeIndex, []byte(raw))
	if _, err := y.Digest(ctx, ask("src/app:win", "windows/amd64"), nil); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "2 images in it") {
		t.Error(err)
	}
	if d, err := y.Digest(ctx, ask("src/app:win", "windows/amd64:10.0.17763"), nil); err != nil || d.Digest != m.Children[0].Digest {
		t.Errorf("%+v %v", d, err)
	}
}

// entryOf returns the bytes of the entry of d in an index.
func entryOf(raw string, d oci.Digest) string {
	before, after, _ := strings.Cut(raw, string(d))
	rest, _, _ := strings.Cut(after, "}}")
	return before[strings.LastIndex(before, "{"):] + string(d) + rest + "}}"
}
