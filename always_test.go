package dray_test

import (
	"net/http"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func always(of dray.TransferRequest) dray.TransferRequest {
	of.Overwrite = plan.Always
	return of
}

func TestAlwaysPutsEveryManifestAgainAndProvesEachBlobOnce(t *testing.T) {
	y, dir := diskYard(t)
	y.tagged("app", "v1", "v2", "v3")
	multi := testbed.Index(t, y.src, "multi", "v1", 3)
	y.transfers(whole())
	lost := multi.Layers[0]
	Remove(t, data(t, dir, string(lost.Digest)))
	y.forget()
	_, sum, err := y.transferred(always(whole()))
	if err != nil || sum.States[dray.Done] != 4 || sum.Blobs.Sent != 1 || sum.Blobs.Bytes != lost.Size {
		t.Fatalf("%v %+v", err, sum)
	}
	blobs := sum.Blobs.Proven // the images share none
	if n := y.dst.Count(http.MethodHead, testbed.Blob); n != blobs+1 {
		t.Errorf("%d questions about %d blobs, of which one was sent and asked for again\n%s", n, blobs, y.dst.Story())
	}
	if n := y.dst.Count(http.MethodPut, testbed.Manifest); n != 3+4 {
		t.Errorf("%d manifests were put, want all 7", n)
	}
	testbed.Same(t, y.src, y.dst, "multi", "v1", "multi", "v1")
}

func TestAlwaysInACopyProvesToo(t *testing.T) {
	y, dir := diskYard(t)
	img := testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 500})
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Overwrite: plan.Always}
	y.must(y.doCopy(req))
	Remove(t, data(t, dir, string(img.Layers[0].Digest)))
	rep := y.must(y.doCopy(req))
	if b := rep.Steps[0].Blobs; b.Sent != 1 || b.Proven != 3 {
		t.Errorf("%+v", b)
	}
}

func TestARegistryThatLiesAboutSizesGetsNoTag(t *testing.T) {
	lying := hostile.LyingHead(99)
	y := yardOf(t, testbed.Distribution(t, testbed.Options{}), hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), lying))
	y.tagged("app", "v1")
	got, _, err := y.transferred(always(whole()))
	if !fault.Is(err, fault.Corrupt) || got != "app:v1 failed" || y.dst.Count(http.MethodPut, testbed.Manifest) != 0 {
		t.Errorf("%s %v", got, err)
	}
}

func TestRehashSendsBytesThatDifferAgain(t *testing.T) {
	y, dir := diskYard(t)
	img := testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 500})
	y.transfers(whole())
	req := always(whole())
	req.Proof = oci.Hashed
	y.forget()
	_, sum, err := y.transferred(req)
	if err != nil || sum.Blobs.Sent != 0 || sum.Blobs.Proven != 3 || y.dst.Count(http.MethodGet, testbed.Blob) != 3 {
		t.Errorf("%v %+v", err, sum.Blobs)
	}
	spoil(t, data(t, dir, string(img.Layers[0].Digest)))
	y.forget()
	got, _, err := y.transferred(req)
	if !fault.Is(err, fault.Corrupt) || got != "app:v1 failed" {
		t.Errorf("this registry keeps its bytes, and that was not seen: %s %v", got, err)
	}
	if in, _ := y.dst.Sent("", testbed.Upload); in != img.Layers[0].Size {
		t.Errorf("%d bytes were sent, want %d", in, img.Layers[0].Size)
	}
}
