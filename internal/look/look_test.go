package look_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
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
