package dray_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

func TestATransferThatHealsSendsWhatIsLackingBelowTagsThatAreRight(t *testing.T) {
	y, dir := diskYard(t)
	y.tagged("app", "v1", "v2", "v3")
	index := testbed.Index(t, y.src, "multi", "v1", 2)
	y.transfers(whole())
	testbed.Random(t, y.src, "app", "v3", testbed.RandomOptions{Seed: 60}) // and one that moved
	img := testbed.Random(t, y.src, "app", "v2", testbed.RandomOptions{Seed: 2})
	Remove(t, data(t, dir, string(img.Layers[0].Digest)))
	links := filepath.Join(dir, "docker/registry/v2/repositories/multi/_manifests/revisions/sha256", index.Children[0].Digest.Encoded())
	if err := os.RemoveAll(links); err != nil {
		t.Fatal(err)
	}
	req := whole()
	req.Sources = []string{"src/app", "src/multi"}
	if got, sum, err := y.transferred(req); got != "app:v3 done" || err != nil || sum.Unproven != 3 || sum.Healed != 0 {
		t.Fatalf("without: %s %v %+v", got, err, sum)
	}
	req.Heal = true
	y.forget()
	got, sum, err := y.transferred(req)
	if got != "app:v2 done, multi:v1 done" || err != nil || sum.Healed != 2 || sum.Unproven != 0 || sum.Blobs.Sent != 1 {
		t.Fatalf("%s %v %+v", got, err, sum)
	}
	if sum.Traffic[y.dst.Host].Requests != y.dst.Requests() || sum.Traffic[y.src.Host].Requests != y.src.Requests() {
		t.Errorf("%+v, the registries counted %d and %d", sum.Traffic, y.src.Requests(), y.dst.Requests())
	}
	testbed.Same(t, y.src, y.dst, "app", "v2", "app", "v2")
	testbed.Same(t, y.src, y.dst, "multi", "v1", "multi", "v1")
	y.forget()
	if got, sum, err := y.transferred(req); got != "" || err != nil || sum.Unproven != 0 || sum.States[dray.Unchanged] != 4 || y.dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("again: %s %v %+v", got, err, sum)
	}
	if _, err := y.planned(req); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "verify --deep") {
		t.Errorf("%v", err)
	}
}

func TestWhatCanNotBeHealedIsAFailureOfItsTag(t *testing.T) {
	y, dir := diskYard(t)
	y.tagged("app", "v1", "v2")
	y.transfers(whole())
	img := testbed.Random(t, y.src, "app", "v2", testbed.RandomOptions{Seed: 2})
	Remove(t, data(t, dir, string(img.Layers[0].Digest)))
	y.src.Direct(t, http.MethodDelete, "/v2/app/blobs/"+string(img.Layers[0].Digest), nil, nil, nil)
	req := whole()
	req.Heal = true
	got, _, err := y.transferred(req)
	if got != "app:v2 failed" || err == nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestATransferTellsOfPulls(t *testing.T) {
	limit := &testbed.PullLimit{Limit: 100, Window: 6 * 3600e9}
	src := testbed.Distribution(t, testbed.Options{Front: limit.Front})
	dst := testbed.Distribution(t, testbed.Options{})
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true, Kind: "dockerhub"}}, "dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	y := &yard{Dray: d, t: t, src: src, dst: dst}
	y.tagged("app", "v1", "v2", "v3")
	y.forget()
	_, sum, err := y.transferred(whole())
	got := sum.Pulls[src.Host]
	if err != nil || len(sum.Pulls) != 1 || got.Spent != 3 || got.Left == nil || *got.Left != 97 || y.src.Count(http.MethodGet, testbed.Manifest) != 3 {
		t.Errorf("%v %+v", err, sum.Pulls)
	}
	_, sum, _ = y.transferred(whole())
	if sum.Pulls[src.Host].Spent != 0 {
		t.Errorf("%+v", sum.Pulls)
	}
	rec, err := y.Verify(t.Context(), dray.VerifyRequest{Of: whole()}, nil, func(dray.VerifyEntry) error { return nil })
	if err != nil || rec.Pulls[src.Host].Spent != 0 || *rec.Pulls[src.Host].Left != 97 {
		t.Errorf("%v %+v", err, rec.Pulls)
	}
}

func TestWhatWasProvenOnceIsRememberedAndTakenBack(t *testing.T) {
	y, dir := diskYard(t)
	y.tagged("app", "v1", "v2")
	y.transfers(whole()) // by somebody else
	y.run(t.TempDir())
	testbed.Random(t, y.src, "app", "v3", testbed.RandomOptions{Seed: 3})
	for _, want := range []int{2, 2} { // v3 it brought itself
		if _, sum, err := y.transferred(whole()); err != nil || sum.Unproven != want {
			t.Errorf("%d unproven, want %d; %v", sum.Unproven, want, err)
		}
	}
	y.verifies("", dray.VerifyRequest{Of: whole()})
	if _, sum, _ := y.transferred(whole()); sum.Unproven != 2 {
		t.Errorf("digests prove no content: %+v", sum)
	}
	y.verifies("", dray.VerifyRequest{Of: whole(), Depth: dray.Deep})
	if _, sum, _ := y.transferred(whole()); sum.Unproven != 0 {
		t.Errorf("%+v", sum)
	}
	img := testbed.Random(t, y.src, "app", "v2", testbed.RandomOptions{Seed: 2})
	Remove(t, data(t, dir, string(img.Layers[0].Digest)))
	if got, _, _ := y.verified(dray.VerifyRequest{Of: whole(), Depth: dray.Deep}); !strings.HasPrefix(got, "app:v2 incomplete") {
		t.Errorf("%s", got)
	}
	if _, sum, _ := y.transferred(whole()); sum.Unproven != 1 {
		t.Errorf("%+v", sum)
	}
}
