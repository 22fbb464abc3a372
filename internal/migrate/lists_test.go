package migrate_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// listedYard is a source without the referrers API and the target to, with one image at both. The source has a
// signature and a list of it, and what is about the image at the target the source does not have.
func listedYard(t *testing.T, to *testbed.Registry) (y *yard.Yard, list string, both []string) {
	t.Helper()
	y = yard.Of(t, testbed.Distribution(t, testbed.Options{}), to)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, y.Dst, "app", "there", testbed.RandomOptions{})
	signature := testbed.Artifact(t, y.Src, "app", "", img.Root)
	theirs := testbed.Artifact(t, y.Dst, "app", "theirs", img.Root)
	y.Forget()
	return y, oci.FallbackTag(img.Root.Digest), []string{signature.Digest(), theirs.Digest()}
}

// refers returns what a registry lists, by its API or under its fallback tag.
func refers(y *yard.Yard, r *testbed.Registry, repo, fallback string) (all []string) {
	y.T.Helper()
	d, err := oci.Parse(oci.Descriptor{MediaType: oci.TypeIndex}, y.Raw(r, repo, fallback, oci.TypeIndex))
	if err != nil {
		y.T.Fatal(err)
	}
	for _, m := range d.Documents {
		all = append(all, string(m.Digest))
	}
	return all
}

func TestTheListOfTheSourceDoesNotReplaceThatOfTheTarget(t *testing.T) {
	y, list, both := listedYard(t, testbed.Distribution(t, testbed.Options{}))
	req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"}
	got, sum, err := y.Transferred(req)
	if err != nil || strings.Contains(got, list) {
		t.Fatalf("%s %v", got, err)
	}
	if all := refers(y, y.Dst, "app", list); len(all) != 2 || !slices.Contains(all, both[0]) || !slices.Contains(all, both[1]) {
		t.Errorf("the target lists %v, want %v", all, both)
	}
	if notes := fmt.Sprint(sum.Notes); strings.Count(notes, "are not copied as tags") != 1 {
		t.Errorf("%s", notes)
	}
	for _, depth := range []dray.Depth{dray.Digests, dray.Rehash} {
		if r := y.Verifies("", dray.VerifyRequest{Of: req, Depth: depth}); r.Extra != 2 { // there and theirs
			t.Errorf("%s: %+v", depth, r)
		}
	}
	y.Forget()
	if got, _, err := y.Transferred(req); err != nil || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("again: %s %v\n%s", got, err, y.Dst.Story())
	}
}

// The list of the source would replace that of the target, if it were copied as a tag.
func TestAListIsNoTagIfTheImageThatItIsAboutCannotBeLookedUp(t *testing.T) {
	denied := hostile.Error(http.StatusForbidden, "DENIED", "it is not scanned yet").On("", testbed.Manifest)
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), denied)
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, src, "app", "v2", testbed.RandomOptions{Seed: 2})
	testbed.Random(t, y.Dst, "app", "there", testbed.RandomOptions{})
	testbed.Artifact(t, src, "app", "", img.Root)
	theirs := testbed.Artifact(t, y.Dst, "app", "theirs", img.Root)
	denied.At(img.Digest())
	list := oci.FallbackTag(img.Root.Digest)
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: plan.AllTags})
	if got := yard.States(rep); !fault.Is(err, fault.Denied) || got != "app:v1 failed, app:v2 done, app:"+list+" failed" {
		t.Errorf("copy: %s %v", got, err)
	}
	got, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"})
	if want := "app:" + list + " failed, app:v1 failed"; err == nil || got != want {
		t.Errorf("transfer: %s %v, want %s", got, err, want)
	}
	if all := refers(y, y.Dst, "app", list); !slices.Equal(all, []string{theirs.Digest()}) {
		t.Errorf("the target lists %v, want %s", all, theirs.Digest())
	}
}

func TestARegistryWithTheAPIGetsNoListAsATag(t *testing.T) {
	y, list, both := listedYard(t, testbed.Sloppy(t, withReferrers()))
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/app"}, Tags: plan.AllTags}))
	if got := y.Dst.Direct(t, http.MethodGet, "/v2/app/manifests/"+list, nil, nil, nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("the tag of the list: %s", got.Status)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v1")
	testbed.Same(t, y.Src, y.Dst, "app", both[0], "app", both[0])
}

func TestAListWhoseImageIsNotThereOrTravelsAloneIsCopiedAsATag(t *testing.T) {
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), testbed.Sloppy(t, withReferrers()))
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", img.Root)
	gone := oci.Descriptor{MediaType: oci.TypeManifest, Digest: oci.Sum([]byte("gone")), Size: 4}
	testbed.Artifact(t, y.Src, "app", "", gone)
	y.Transfers(dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"})
	testbed.Same(t, y.Src, y.Dst, "app", oci.FallbackTag(gone.Digest), "app", oci.FallbackTag(gone.Digest))
	alone := plan.Referrers{Mode: plan.ReferrersNone}
	y.Must(y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/alone"}, Tags: plan.AllTags, Referrers: alone}))
	testbed.Same(t, y.Src, y.Dst, "app", oci.FallbackTag(img.Root.Digest), "alone", oci.FallbackTag(img.Root.Digest))
	y.Transfers(dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/too", Referrers: alone})
	testbed.Same(t, y.Src, y.Dst, "app", oci.FallbackTag(img.Root.Digest), "too", oci.FallbackTag(img.Root.Digest))
}

// A registry that got the API later may not answer with what its old lists have.
func TestWhatOnlyAnOldListNamesTravelsWithTheImage(t *testing.T) {
	y := yard.Of(t, testbed.Sloppy(t, withReferrers()), testbed.Sloppy(t, withReferrers()))
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	old := testbed.Artifact(t, y.Src, "app", "", oci.Descriptor{}) // the API does not list it
	list := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		oci.TypeIndex, oci.TypeManifest, old.Digest(), old.Root.Size)
	y.Src.Manifest(t, "app", oci.FallbackTag(img.Root.Digest), oci.TypeIndex, []byte(list))
	dir := "oci:" + filepath.Join(t.TempDir(), "disk")
	for _, target := range []string{"dst/app", dir} {
		y.Transfers(dray.TransferRequest{Sources: []string{"src/app"}, Target: target})
	}
	testbed.Same(t, y.Src, y.Dst, "app", old.Digest(), "app", old.Digest())
}
