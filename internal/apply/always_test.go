package apply_test

import (
	"net/http"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func always(of dray.TransferRequest) dray.TransferRequest {
	of.Overwrite = plan.Always
	return of
}

func TestAlwaysPutsEveryManifestAgainAndProvesEachBlobOnce(t *testing.T) {
	y, dir := yard.Disk(t)
	y.Tagged("app", "v1", "v2", "v3")
	multi := testbed.Index(t, y.Src, "multi", "v1", 3)
	y.Transfers(yard.Whole())
	lost := multi.Layers[0]
	yard.Remove(t, yard.Data(t, dir, string(lost.Digest)))
	y.Forget()
	_, sum, err := y.Transferred(always(yard.Whole()))
	if err != nil || sum.States[dray.Done] != 4 || sum.Blobs.Sent != 1 || sum.Blobs.Bytes != lost.Size {
		t.Fatalf("%v %+v", err, sum)
	}
	blobs := sum.Blobs.Proven // the images share no blob
	if n := y.Dst.Count(http.MethodHead, testbed.Blob); n != blobs+1 {
		t.Errorf("%d HEAD requests for %d blobs; want one for each, and one more for the blob that was sent\n%s", n, blobs, y.Dst.Story())
	}
	if n := y.Dst.Count(http.MethodPut, testbed.Manifest); n != 3+4 {
		t.Errorf("%d manifests were put, want all 7", n)
	}
	testbed.Same(t, y.Src, y.Dst, "multi", "v1", "multi", "v1")
}

func TestAlwaysInACopyProvesToo(t *testing.T) {
	y, dir := yard.Disk(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 500})
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Overwrite: plan.Always}
	y.Must(y.Copy(req))
	yard.Remove(t, yard.Data(t, dir, string(img.Layers[0].Digest)))
	rep := y.Must(y.Copy(req))
	if b := rep.Steps[0].Blobs; b.Sent != 1 || b.Proven != 3 {
		t.Errorf("%+v", b)
	}
}

func TestARegistryThatLiesAboutSizesGetsNoTag(t *testing.T) {
	lying := hostile.LyingHead(99)
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), lying))
	y.Tagged("app", "v1")
	got, _, err := y.Transferred(always(yard.Whole()))
	if !fault.Is(err, fault.Corrupt) || got != "app:v1 failed" || y.Dst.Count(http.MethodPut, testbed.Manifest) != 0 {
		t.Errorf("%s %v", got, err)
	}
}

func TestRehashSendsBytesThatDifferAgain(t *testing.T) {
	y, dir := yard.Disk(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 500})
	y.Transfers(yard.Whole())
	req := always(yard.Whole())
	req.Proof = oci.Hashed
	y.Forget()
	_, sum, err := y.Transferred(req)
	if err != nil || sum.Blobs.Sent != 0 || sum.Blobs.Proven != 3 || y.Dst.Count(http.MethodGet, testbed.Blob) != 3 {
		t.Errorf("%v %+v", err, sum.Blobs)
	}
	yard.Spoil(t, yard.Data(t, dir, string(img.Layers[0].Digest)))
	y.Forget()
	got, _, err := y.Transferred(req)
	if !fault.Is(err, fault.Corrupt) || got != "app:v1 failed" {
		t.Errorf("the registry kept the wrong bytes, and this was not reported: %s %v", got, err)
	}
	if in, _ := y.Dst.Sent("", testbed.Upload); in != img.Layers[0].Size {
		t.Errorf("%d bytes were sent, want %d", in, img.Layers[0].Size)
	}
}
