package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// signs puts a manifest as cosign makes it under a digest tag, with a layer for each signature.
func signs(t *testing.T, r *testbed.Registry, repo, tag string, signatures ...string) oci.Digest {
	t.Helper()
	layer := r.Blob(t, repo, "application/vnd.dev.cosign.simplesigning.v1+json", []byte(`{"critical":{}}`))
	var layers []oci.Descriptor
	for _, s := range signatures {
		one := layer
		one.Annotations = map[string]string{"dev.cosignproject.cosign/signature": s}
		layers = append(layers, one)
	}
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "layers": layers,
		"config": r.Blob(t, repo, "application/vnd.oci.image.config.v1+json", []byte(`{}`))})
	if err != nil {
		t.Fatal(err)
	}
	return r.Manifest(t, repo, tag, oci.TypeManifest, raw).Digest
}

// signedWorld is a sender with the image app:v1 and its signature "sender", and a receiver that has signed it, too.
func signedWorld(t *testing.T, receiver ...string) (w *world, tag string, own oci.Digest) {
	t.Helper()
	w = newWorld(t)
	image := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{}).Root.Digest
	tag = oci.FallbackTag(image) + ".sig"
	signs(t, w.Src, "app", tag, "sender")
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	testbed.Random(t, w.Dst, "app", "v1", testbed.RandomOptions{})
	return w, tag, signs(t, w.Dst, "app", tag, receiver...)
}

func (w *world) loadWith(overwrite plan.Overwrite, path string) (string, dray.TransferReport, error) {
	return w.steps(func(visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
		req := dray.LoadRequest{Paths: []string{path}, Target: "dst", Now: now, Receipt: w.path("receipt"), Overwrite: overwrite}
		return w.LoadBundle(w.T.Context(), req, nil, visit)
	})
}

func (w *world) tagged(repo, tag string) oci.Digest {
	w.T.Helper()
	got := w.Dst.Direct(w.T, http.MethodHead, "/v2/"+repo+"/manifests/"+tag,
		http.Header{"Accept": {oci.TypeManifest}}, nil, nil)
	return oci.Digest(got.Header.Get("Docker-Content-Digest"))
}

func TestALoadKeepsTheSignaturesOfTheReceiver(t *testing.T) {
	for name, c := range map[string]struct {
		receiver  []string
		overwrite plan.Overwrite
		stays     bool
		kept      int
	}{
		"more":              {[]string{"sender", "receiver"}, plan.Update, true, 0},
		"others":            {[]string{"receiver"}, plan.Update, true, 1},
		"less":              {[]string{}, plan.Update, false, 0},
		"others, refused":   {[]string{"receiver"}, plan.Refuse, true, 1},
		"more, refused":     {[]string{"sender", "receiver"}, plan.Refuse, true, 0},
		"others, always":    {[]string{"receiver"}, plan.Always, false, 0},
		"more, always":      {[]string{"sender", "receiver"}, plan.Always, false, 0},
		"the same, refused": {[]string{"sender"}, plan.Refuse, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, tag, own := signedWorld(t, c.receiver...)
			if len(c.receiver) == 0 {
				w.Dst.Direct(t, http.MethodDelete, "/v2/app/manifests/"+string(own), nil, nil, nil)
			}
			steps, sum := w.must(w.loadWith(c.overwrite, w.path("a.tar")))
			if now := w.tagged("app", tag); c.stays != (now == own) || now == "" {
				t.Errorf("the receiver has %s, had %s", now, own)
			}
			if sum.Referrers.Kept != c.kept || len(sum.Referrers.Lost) != c.kept || strings.Contains(steps, "sig") {
				t.Errorf("%s: %+v", steps, sum.Referrers)
			}
		})
	}
}

func TestABundleOfAnotherImageKeepsTheSignaturesOfTheReceiver(t *testing.T) {
	w, tag, own := signedWorld(t, "sender", "receiver")
	since := w.have("have")
	testbed.Random(t, w.Src, "app", "v2", testbed.RandomOptions{Seed: 2})
	w.must(w.create(dray.BundleRequest{To: w.path("b.tar"), Since: []string{since}}))
	steps, _ := w.must(w.load(w.path("b.tar")))
	if now := w.tagged("app", tag); now != own || steps != "app:v2 done" {
		t.Error(now, own, steps)
	}
}

func TestADryRunOfALoadShowsWhatTheReceiverKeeps(t *testing.T) {
	w, tag, _ := signedWorld(t, "receiver")
	var lines []string
	req := dray.LoadRequest{Paths: []string{w.path("a.tar")}, Target: "dst", Now: now, Receipt: w.path("receipt")}
	sum, err := w.PlanLoad(t.Context(), req, nil, func(r dray.RepositoryPlan) error {
		for _, s := range r.Steps {
			lines = append(lines, s.Lines()...)
		}
		return nil
	})
	if err != nil || sum.Referrers.Planned != 0 {
		t.Errorf("%+v %v", sum.Referrers, err)
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "  keep") && strings.Contains(l, tag) }) {
		t.Error(lines)
	}
}

// cautious is a gate that admits images that have a signature under a digest tag which it can read.
type cautious struct{}

func (cautious) Admit(ctx context.Context, i *gate.Image) error {
	doc, signed, err := i.Attached(ctx, "sig")
	switch {
	case err == nil && !signed:
		err = gate.Refuse(i, "the door", errors.New("it is not signed"), "")
	case err == nil:
		_, err = i.Blob(ctx, doc.Blobs[len(doc.Blobs)-1])
	}
	return err
}

// refuses is a gate that admits nothing.
type refuses struct{}

func (refuses) Admit(_ context.Context, i *gate.Image) error {
	return gate.Refuse(i, "the door", errors.New("it is closed"), "")
}

func TestVolumesPassAGateOneAfterTheOtherInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		w := newWorld(t)
		image := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 50_000})
		signs(t, w.Src, "app", oci.FallbackTag(image.Root.Digest)+".sig", "sender")
		_, sum := w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Split: 62_464}))
		if len(sum.Bundle.Volumes) != 2 {
			t.Fatalf("%+v", sum.Bundle.Volumes)
		}
		for i, n := range order {
			steps, sum, err := w.steps(func(visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
				req := dray.LoadRequest{Paths: []string{sum.Bundle.Volumes[n].File}, Target: "dst", Now: now,
					Receipt: w.path("receipt"), Gate: cautious{}}
				return w.LoadBundle(t.Context(), req, nil, visit)
			})
			want, waits := "", 1
			if i == 1 {
				want, waits = "app:v1 done", 0
			}
			if err != nil || steps != want || len(sum.Bundle.WaitingNames) != waits {
				t.Errorf("%v, volume %d: %s, %q wait: %v", order, n+1, steps, sum.Bundle.WaitingNames, err)
			}
		}
		w.proven("src", "dst")
	}
}

func TestAReceiverThatTakesNoArtifactsGetsTheImages(t *testing.T) {
	src := testbed.Sloppy(t, testbed.Options{Referrers: testbed.WithReferrers})
	image := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, src, "free", "v1", testbed.RandomOptions{Seed: 2})
	sbom := testbed.Artifact(t, src, "app", "", image.Root)
	refuse := hostile.Error(400, "MANIFEST_INVALID", "artifacts are not supported").
		On(http.MethodPut, testbed.Manifest).At(sbom.Digest())
	behind := testbed.NewSloppy(testbed.Options{Referrers: testbed.WithReferrers})
	w := &world{yard.Of(t, src, hostile.New(t, behind, refuse)), t.TempDir()}
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	for _, want := range []string{"app:v1 done, free:v1 done", "app:v1 unchanged, free:v1 unchanged"} {
		steps, sum := w.must(w.load(w.path("a.tar")))
		if steps != want || sum.Referrers.Refused != 1 || len(sum.Referrers.Lost) != 1 {
			t.Errorf("%s %+v", steps, sum.Referrers)
		}
	}
	// The receipt does not say that the receiver has it.
	list := dray.BatchRequest{Entries: []dray.BatchEntry{{Source: "src/app:v1"}}}
	list.Referrers.Mode = plan.ReferrersSync
	_, sum := w.must(w.create(dray.BundleRequest{To: w.path("b.tar"), Batch: list, Since: []string{w.path("receipt")}}))
	if sum.Bundle.Names != 1 {
		t.Errorf("%+v", sum.Bundle)
	}
}

func TestAGateIsNotAskedAboutSignaturesWhenAVolumeIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	image := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 50_000})
	signs(t, w.Src, "app", oci.FallbackTag(image.Root.Digest)+".sig", "sender")
	sbom := testbed.Artifact(t, w.Src, "app", "", image.Root)
	testbed.Artifact(t, w.Src, "app", "", sbom.Root)
	list := dray.BatchRequest{Entries: []dray.BatchEntry{{Source: "src/app:v1"}}, Gate: cautious{}}
	_, sum := w.must(w.create(dray.BundleRequest{To: w.path("a.tar"), Batch: list, Split: 68_096}))
	for i, v := range sum.Bundle.Volumes {
		want := read(t, v.File)
		yard.Remove(t, v.File)
		again := dray.BundleRequest{To: w.path("a.tar"), Batch: dray.BatchRequest{Gate: cautious{}}, Only: []int{i + 1}}
		w.must(w.create(again))
		if !bytes.Equal(read(t, v.File), want) {
			t.Errorf("volume %d is not as it was", i+1)
		}
	}
	refusing := dray.BundleRequest{To: w.path("a.tar"), Batch: dray.BatchRequest{Gate: refuses{}}, Only: []int{1}}
	if _, _, err := w.create(refusing); !fault.Is(err, fault.Refused) {
		t.Error("the gate is not asked:", err)
	}
}

func TestANewNameOfASignedImageThatTheReceiverHasPassesItsGate(t *testing.T) {
	w := newWorld(t)
	image := testbed.Random(t, w.Src, "app", "v1", testbed.RandomOptions{})
	signs(t, w.Src, "app", oci.FallbackTag(image.Root.Digest)+".sig", "sender")
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	w.must(w.load(w.path("a.tar")))
	testbed.Random(t, w.Src, "app", "v2", testbed.RandomOptions{})
	testbed.Random(t, w.Src, "other", "v3", testbed.RandomOptions{})
	for name, want := range map[string]string{"app": "app:v2 done", "other": "other:v3 failed"} {
		to := w.path(name + ".tar")
		req := dray.TransferRequest{Sources: []string{"src/" + name}, Target: ""}
		w.must(w.create(dray.BundleRequest{To: to, Since: []string{w.have("have")}, Transfer: req}))
		steps, _, err := w.steps(func(visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
			req := dray.LoadRequest{Paths: []string{to}, Target: "dst", Now: now, Receipt: w.path("receipt"), Gate: cautious{}}
			return w.LoadBundle(t.Context(), req, nil, visit)
		})
		if steps != want || (err == nil) != strings.HasSuffix(want, "done") {
			t.Errorf("%s: %v", steps, err)
		}
	}
}
