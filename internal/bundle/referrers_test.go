package bundle_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// proven checks that the receiver has everything below the names of the sender, with what refers to them.
func (w *world) proven(source, target string) {
	w.T.Helper()
	req := dray.VerifyRequest{Depth: dray.Deep, When: now,
		Of: dray.TransferRequest{Sources: []string{source}, Target: target}}
	receipt, err := w.Verify(w.T.Context(), req, nil, func(e dray.VerifyEntry) error {
		if e.Match != dray.Same {
			w.T.Errorf("%+v", e)
		}
		return nil
	})
	if err != nil || !receipt.Right() {
		w.T.Error(receipt.Matches, err)
	}
}

func TestSignaturesTravelInABundleWithTheImagesOfAList(t *testing.T) {
	w := newWorld(t)
	image := testbed.Index(t, w.Src, "web", "1.0", 2)
	signed := testbed.Artifact(t, w.Src, "web", "", image.Root)
	testbed.Artifact(t, w.Src, "web", "", signed.Root)       // a signature of the first referrer
	testbed.Artifact(t, w.Src, "web", "", image.Children[0]) // of a child
	tag := strings.Replace(image.Digest(), ":", "-", 1) + ".sig"
	testbed.Random(t, w.Src, "web", tag, testbed.RandomOptions{Seed: 7})
	testbed.Random(t, w.Src, "web", "other", testbed.RandomOptions{Seed: 8}) // is not on the list
	list := dray.BatchRequest{Entries: []dray.BatchEntry{{Source: "src/web:1.0"}}}
	_, sum := w.must(w.create(dray.BundleRequest{Batch: list, To: w.path("a.tar")}))
	if sum.Bundle.Names != 1+3+1 || sum.Referrers.Copied != 4 {
		t.Errorf("%+v %+v", sum.Bundle, sum.Referrers)
	}
	w.must(w.load(w.path("a.tar")))
	testbed.Same(t, w.Src, w.Dst, "web", tag, "web", tag)
	testbed.Same(t, w.Src, w.Dst, "web", "1.0", "web", "1.0")
	w.proven("src/web:1.0", "dst/web:1.0")

	// What is signed later arrives with the next bundle, and nothing else. The receiver says what it has in a list, or
	// in a receipt.
	first := w.path("receipt.1")
	if err := os.Rename(w.path("receipt"), first); err != nil {
		t.Fatal(err)
	}
	testbed.Artifact(t, w.Src, "web", "", image.Children[1])
	list.Referrers.Mode = "sync"
	for name, since := range map[string]string{"b.tar": w.have("have"), "c.tar": first} {
		_, sum = w.must(w.create(dray.BundleRequest{Batch: list, To: w.path(name), Since: []string{since}}))
		if sum.Bundle.Names != 1 || sum.Bundle.Documents != 1 || sum.Bundle.Blobs != 1 || sum.Referrers.Copied != 1 {
			t.Errorf("%s: %+v %+v", name, sum.Bundle, sum.Referrers)
		}
	}
	w.must(w.load(w.path("b.tar")))
	w.proven("src/web:1.0", "dst/web:1.0")
	_, sum = w.must(w.create(dray.BundleRequest{Batch: list, To: w.path("d.tar"), Since: []string{first, w.path("receipt")}}))
	if sum.Bundle.Names != 0 || sum.Bundle.Documents != 0 {
		t.Errorf("%+v", sum.Bundle)
	}
}

func TestOnePlatformOfAnImageTravelsInABundle(t *testing.T) {
	w := newWorld(t)
	image := testbed.Index(t, w.Src, "web", "1.0", 3)
	only, err := oci.ParsePlatforms("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	req := dray.BundleRequest{To: w.path("a.tar"), Batch: dray.BatchRequest{
		Entries: []dray.BatchEntry{{Source: "src/web:1.0"}}, Platforms: plan.Platforms{Only: only},
	}}
	_, sum := w.must(w.create(req))
	if sum.Bundle.Documents != 2 || sum.Bundle.Blobs != 3 {
		t.Errorf("%+v", sum.Bundle)
	}
	w.must(w.load(w.path("a.tar")))
	d, err := w.Inspect(t.Context(), dray.LookRequest{Name: "dst/web:1.0"}, nil)
	if err != nil || len(d.Platforms) != 1 || string(d.Digest) == image.Digest() {
		t.Error(d, err)
	}
}

func TestASparseIndexTravelsInABundle(t *testing.T) {
	w := newWorld(t)
	image := testbed.Index(t, w.Src, "web", "1.0", 3)
	testbed.Artifact(t, w.Src, "web", "", image.Root)
	testbed.Artifact(t, w.Src, "web", "", image.Children[0])
	testbed.Artifact(t, w.Src, "web", "", image.Children[1]) // of an image that stays behind
	testbed.Random(t, w.Src, "web", "single", testbed.RandomOptions{Seed: 1})
	req := of(t, w.path("a.tar"), "linux/amd64", plan.Sparse)
	_, sum := w.must(w.create(req))
	if sum.Bundle.Documents != 2+2+1 || sum.Bundle.Names != 1+2+1 {
		t.Errorf("%+v", sum.Bundle)
	}
	steps, _ := w.must(w.load(w.path("a.tar")))
	if !strings.Contains(steps, "web:1.0 done") {
		t.Error(steps)
	}
	has := func(d oci.Digest) bool {
		got := w.Dst.Direct(t, http.MethodHead, "/v2/web/manifests/"+string(d), http.Header{"Accept": {oci.TypeManifest}}, nil, nil)
		return got.StatusCode == http.StatusOK
	}
	if d := digestOf(w, "web:1.0"); d != image.Root.Digest || !has(image.Children[0].Digest) || has(image.Children[1].Digest) {
		t.Error(d, "or other images arrived")
	}
	steps, _ = w.must(w.load(w.path("a.tar")))
	if strings.Contains(steps, "done") {
		t.Error(steps)
	}

	// The index is equal at both sides, and the second bundle brings an image that the receiver lacks.
	req = of(t, w.path("b.tar"), "linux/amd64,linux/arm64", plan.Sparse)
	req.Transfer.Platforms.Lacks = plan.Optional
	req.Since = []string{w.have("have")}
	_, sum = w.must(w.create(req))
	if sum.Bundle.Names == 0 {
		t.Errorf("%+v", sum.Bundle)
	}
	w.must(w.load(w.path("b.tar")))
	if !has(image.Children[1].Digest) || has(image.Children[2].Digest) {
		t.Error("the receiver has other images")
	}
	w.must(w.load(w.path("b.tar")))
}

func TestAReceiverThatRefusesASparseIndexSaysSo(t *testing.T) {
	w := newWorld(t)
	testbed.Index(t, w.Src, "web", "1.0", 3)
	w.must(w.create(of(t, w.path("a.tar"), "linux/amd64", plan.Sparse)))
	w.Yard = yard.Of(t, w.Src, testbed.Distribution(t, testbed.Options{}))
	_, _, err := w.load(w.path("a.tar"))
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "put sparse index") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

func digestOf(w *world, name string) oci.Digest {
	w.T.Helper()
	repo, tag, _ := strings.Cut(name, ":")
	got := w.Dst.Direct(w.T, http.MethodHead, "/v2/"+repo+"/manifests/"+tag, http.Header{"Accept": {oci.TypeIndex}}, nil, nil)
	return oci.Digest(got.Header.Get("Docker-Content-Digest"))
}

// signed is a gate that admits images to which something refers.
type signed struct{}

func (signed) Admit(ctx context.Context, i *gate.Image) error {
	all, err := i.Referrers(ctx)
	if err == nil && len(all) == 0 {
		err = gate.Refuse(i, "the door", errors.New("it is not signed"), "")
	}
	return err
}

func TestAGateDecidesAboutTheImagesOfABundleAndNotAboutTheirSignatures(t *testing.T) {
	w := newWorld(t)
	settings := dray.Settings{PlainHTTP: true}
	d, err := dray.New(dray.Config{Gate: signed{}, Registries: map[string]dray.Registry{
		"src": {Host: w.Src.Host, Settings: settings}, "dst": {Host: w.Dst.Host, Settings: settings},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	image := testbed.Index(t, w.Src, "web", "1.0", 2)
	sbom := testbed.Artifact(t, w.Src, "web", "", image.Root)
	testbed.Artifact(t, w.Src, "web", "", sbom.Root)
	testbed.Artifact(t, w.Src, "web", "", image.Children[0])
	list := dray.BatchRequest{Entries: []dray.BatchEntry{{Source: "src/web:1.0"}}}
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Batch: list}))
	testbed.Random(t, w.Src, "free", "v1", testbed.RandomOptions{Seed: 1})
	list.Entries[0].Source = "src/free:v1"
	w.must(w.create(dray.BundleRequest{To: w.path("b.tar"), Batch: list}))

	open := w.Dray
	w.Dray = d
	w.must(w.load(w.path("a.tar")))
	w.proven("src/web:1.0", "dst/web:1.0")
	if got, _, err := w.load(w.path("b.tar")); got != "free:v1 failed" || !fault.Is(err, fault.Refused) {
		t.Errorf("%s %v", got, err)
	}
	w.Dray = open
}

// twice puts one signed image into two repositories of the sender, and signs it in both, with a signature of the
// signature. It returns the signature.
func twice(w *world) testbed.Image {
	var signed testbed.Image
	for _, repo := range []string{"m/aaa", "m/bbb"} {
		image := testbed.Random(w.T, w.Src, repo, "v1", testbed.RandomOptions{Layers: 2, Size: 50_000, Seed: 3})
		signed = testbed.Artifact(w.T, w.Src, repo, "", image.Root)
		testbed.Artifact(w.T, w.Src, repo, "", signed.Root)
	}
	return signed
}

func TestAnImageInTwoRepositoriesIsSignedInBoth(t *testing.T) {
	w := newWorld(t)
	twice(w)
	_, sum := w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	if sum.Bundle.Names != 2*(1+2) || sum.Bundle.Documents != 1+2 {
		t.Errorf("%+v", sum.Bundle)
	}
	w.must(w.load(w.path("a.tar")))
	w.proven("src", "dst")
	list := w.have("have")
	_, sum = w.must(w.create(dray.BundleRequest{To: w.path("b.tar"), Since: []string{list, w.path("receipt")}}))
	if sum.Bundle.Names != 0 {
		t.Errorf("the receiver has it all: %+v", sum.Bundle)
	}
}

func TestAnImageInTwoRepositoriesIsSignedInBothAfterItsLastVolume(t *testing.T) {
	w := newWorld(t)
	twice(w)
	_, sum := w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Split: 70_000}))
	if len(sum.Bundle.Volumes) < 2 {
		t.Fatalf("%+v", sum.Bundle)
	}
	for _, v := range sum.Bundle.Volumes {
		w.must(w.load(v.File))
	}
	w.proven("src", "dst")
}

func TestASecondLoadBringsASignatureThatTheReceiverLost(t *testing.T) {
	w := newWorld(t)
	signed := twice(w)
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	w.must(w.load(w.path("a.tar")))
	got := w.Dst.Direct(t, http.MethodDelete, "/v2/m/bbb/manifests/"+signed.Digest(), nil, nil, nil)
	if got.StatusCode != http.StatusAccepted {
		t.Fatal(got.Status)
	}
	w.must(w.load(w.path("a.tar")))
	w.proven("src", "dst")
}

func TestAnImageOfAListThatTravelsAloneArrivesAlone(t *testing.T) {
	w := newWorld(t)
	twice(w)
	alone := dray.BatchEntry{Source: "src/m/aaa:v1", Own: plan.Own{Referrers: plan.Referrers{Mode: plan.ReferrersNone}}}
	list := dray.BatchRequest{Entries: []dray.BatchEntry{alone, {Source: "src/m/bbb:v1"}}}
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Batch: list}))
	_, sum := w.must(w.load(w.path("a.tar")))
	if sum.Referrers.Copied != 2 {
		t.Errorf("%+v", sum.Referrers)
	}
	tree := func(name string) int {
		t.Helper()
		all, err := w.Yard.Dray.Referrers(t.Context(), dray.LookRequest{Name: name}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if a, b := tree("dst/m/aaa:v1"), tree("dst/m/bbb:v1"); a != 0 || b != 1 {
		t.Errorf("%d and %d referrers", a, b)
	}
	w.proven("src/m/bbb:v1", "dst/m/bbb:v1")
}
