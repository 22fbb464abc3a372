package migrate_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
)

func TestATransferThatHealsSendsWhatIsLackingBelowTagsThatAreRight(t *testing.T) {
	y, dir := yard.Disk(t)
	y.Tagged("app", "v1", "v2", "v3")
	index := testbed.Index(t, y.Src, "multi", "v1", 2)
	y.Transfers(yard.Whole())
	testbed.Random(t, y.Src, "app", "v3", testbed.RandomOptions{Seed: 60}) // a tag that moved
	img := testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 2})
	yard.Remove(t, yard.Data(t, dir, string(img.Layers[0].Digest)))
	links := filepath.Join(dir, "docker/registry/v2/repositories/multi/_manifests/revisions/sha256", index.Children[0].Digest.Encoded())
	if err := os.RemoveAll(links); err != nil {
		t.Fatal(err)
	}
	req := yard.Whole()
	req.Sources = []string{"src/app", "src/multi"}
	if got, sum, err := y.Transferred(req); got != "app:v3 done" || err != nil || sum.Unproven != 3 || sum.Healed != 0 {
		t.Fatalf("without Heal: %s %v %+v", got, err, sum)
	}
	req.Heal = true
	y.Forget()
	got, sum, err := y.Transferred(req)
	if got != "app:v2 done, multi:v1 done" || err != nil || sum.Healed != 2 || sum.Unproven != 0 || sum.Blobs.Sent != 1 {
		t.Fatalf("%s %v %+v", got, err, sum)
	}
	if sum.Traffic[y.Dst.Host].Requests != y.Dst.Requests() || sum.Traffic[y.Src.Host].Requests != y.Src.Requests() {
		t.Errorf("%+v, the registries counted %d and %d", sum.Traffic, y.Src.Requests(), y.Dst.Requests())
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v2", "app", "v2")
	testbed.Same(t, y.Src, y.Dst, "multi", "v1", "multi", "v1")
	y.Forget()
	if got, sum, err := y.Transferred(req); got != "" || err != nil || sum.Unproven != 0 || sum.States[dray.Unchanged] != 4 || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("again: %s %v %+v", got, err, sum)
	}
	if _, err := y.Planned(req); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "leave heal out of the plan") {
		t.Errorf("%v", err)
	}
}

func TestWhatCanNotBeHealedIsAFailureOfItsTag(t *testing.T) {
	y, dir := yard.Disk(t)
	y.Tagged("app", "v1", "v2")
	y.Transfers(yard.Whole())
	img := testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 2})
	yard.Remove(t, yard.Data(t, dir, string(img.Layers[0].Digest)))
	y.Src.Direct(t, http.MethodDelete, "/v2/app/blobs/"+string(img.Layers[0].Digest), nil, nil, nil)
	req := yard.Whole()
	req.Heal = true
	got, _, err := y.Transferred(req)
	if got != "app:v2 failed" || err == nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestATransferTellsOfPulls(t *testing.T) {
	limit := &beside.PullLimit{Limit: 100, Window: 6 * 3600e9}
	src := testbed.Distribution(t, testbed.Options{Front: limit.Front})
	dst := testbed.Distribution(t, testbed.Options{})
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true, Kind: "dockerhub"}}, "dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	y := &yard.Yard{Dray: d, T: t, Src: src, Dst: dst}
	y.Tagged("app", "v1", "v2", "v3")
	y.Forget()
	_, sum, err := y.Transferred(yard.Whole())
	got := sum.Pulls[src.Host]
	if err != nil || len(sum.Pulls) != 1 || got.Spent != 3 || got.Left == nil || *got.Left != 97 || y.Src.Count(http.MethodGet, testbed.Manifest) != 3 {
		t.Errorf("%v %+v", err, sum.Pulls)
	}
	_, sum, _ = y.Transferred(yard.Whole())
	if sum.Pulls[src.Host].Spent != 0 {
		t.Errorf("%+v", sum.Pulls)
	}
	rec, err := y.Verify(t.Context(), dray.VerifyRequest{Of: yard.Whole()}, nil, func(dray.VerifyEntry) error { return nil })
	if err != nil || rec.Pulls[src.Host].Spent != 0 || *rec.Pulls[src.Host].Left != 97 {
		t.Errorf("%v %+v", err, rec.Pulls)
	}
}

func TestWhatWasProvenOnceIsRememberedAndTakenBack(t *testing.T) {
	y, dir := yard.Disk(t)
	y.Tagged("app", "v1", "v2")
	y.Transfers(yard.Whole()) // by another tool
	y.Run(t.TempDir())
	testbed.Random(t, y.Src, "app", "v3", testbed.RandomOptions{Seed: 3})
	for _, want := range []int{2, 2} { // v3 was copied by the first run itself
		if _, sum, err := y.Transferred(yard.Whole()); err != nil || sum.Unproven != want {
			t.Errorf("%d unproven, want %d; %v", sum.Unproven, want, err)
		}
	}
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole()})
	if _, sum, _ := y.Transferred(yard.Whole()); sum.Unproven != 2 {
		t.Errorf("a comparison of digests must not prove content: %+v", sum)
	}
	y.Verifies("", dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep})
	if _, sum, _ := y.Transferred(yard.Whole()); sum.Unproven != 0 {
		t.Errorf("%+v", sum)
	}
	img := testbed.Random(t, y.Src, "app", "v2", testbed.RandomOptions{Seed: 2})
	yard.Remove(t, yard.Data(t, dir, string(img.Layers[0].Digest)))
	if got, _, _ := y.Verified(dray.VerifyRequest{Of: yard.Whole(), Depth: dray.Deep}); !strings.HasPrefix(got, "app:v2 incomplete") {
		t.Errorf("%s", got)
	}
	if _, sum, _ := y.Transferred(yard.Whole()); sum.Unproven != 1 {
		t.Errorf("%+v", sum)
	}
}
