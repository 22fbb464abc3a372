package dray_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// planFile writes the plan of a transfer.
func (y *yard) planFile(req dray.TransferRequest) []byte {
	y.t.Helper()
	var out bytes.Buffer
	w, err := plan.NewWriter(&out, plan.Plan{Verb: "transfer", Overwrite: plan.Update})
	if err != nil {
		y.t.Fatal(err)
	}
	if _, err := y.PlanTransfer(y.t.Context(), req, nil, func(p dray.RepositoryPlan) error {
		for _, s := range p.Steps {
			if err := w.Step(s); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		y.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		y.t.Fatal(err)
	}
	return out.Bytes()
}

func (y *yard) estimate(file []byte) dray.Estimate {
	y.t.Helper()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		y.t.Fatal(err)
	}
	e, err := y.Estimate(y.t.Context(), dray.EstimateRequest{Plan: r, Rate: 1 << 20}, nil)
	if err != nil {
		y.t.Fatal(err)
	}
	return e
}

func TestAnEstimateIsWhatTheTransferThenTakes(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2", "latest")
	testbed.Index(t, y.src, "multi", "v1", 2)
	testbed.Random(t, y.src, "team/a", "v1", testbed.RandomOptions{Seed: 70}) // shares its blobs with team/b
	testbed.Random(t, y.src, "team/b", "v1", testbed.RandomOptions{Seed: 70})
	if _, _, err := y.transferred(dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"}); err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.src, "app", "v3", testbed.RandomOptions{Seed: 71})
	file := y.planFile(whole())
	y.forget()
	e := y.estimate(file)
	if y.dst.Count(http.MethodPut, testbed.Manifest)+y.dst.Count(http.MethodPost, testbed.Upload)+y.dst.Count(http.MethodPut, testbed.Upload) != 0 {
		t.Errorf("an estimate wrote: %s", spent(y.dst))
	}
	if e.Images != 4 || e.Tags != 4 || e.Mounted == 0 || e.Saved == 0 || len(e.Unknown) != 0 {
		t.Errorf("%+v", e)
	}
	if want := time.Duration(float64(e.Bytes) / (1 << 20) * float64(time.Second)); e.Time != want {
		t.Errorf("%s for %d bytes at 1 MiB/s", e.Time, e.Bytes)
	}
	y.forget()
	_, sum, err := y.transferred(whole())
	if err != nil {
		t.Fatal(err)
	}
	if e.Bytes != sum.Blobs.Bytes || e.Sent != sum.Blobs.Sent || e.Mounted != sum.Blobs.Mounted || e.Present != sum.Blobs.Present {
		t.Errorf("estimated %+v, it took %+v", e, sum.Blobs)
	}
	writes := y.dst.Count(http.MethodPut, testbed.Manifest) + y.dst.Count(http.MethodPost, testbed.Upload) +
		y.dst.Count(http.MethodPut, testbed.Upload) + y.dst.Count(http.MethodPatch, testbed.Upload)
	if got := e.Registries[y.dst.Host]; got.Writes != writes || got.Sent != sum.Blobs.Bytes {
		t.Errorf("estimated %+v, it took %d writes: %s", got, writes, spent(y.dst))
	}
	reads := y.src.Count(http.MethodHead, testbed.Manifest) + y.src.Count(http.MethodGet, testbed.Manifest) + y.src.Count(http.MethodGet, testbed.Blob)
	if got := e.Registries[y.src.Host]; got.Reads != reads || got.Received != sum.Blobs.Bytes {
		t.Errorf("estimated %+v, it took %d reads: %s", got, reads, spent(y.src))
	}
	if again := y.estimate(file); again.Bytes != 0 || again.Sent != 0 {
		t.Errorf("all is there, and %+v", again)
	}
}

func TestAnEstimateCountsTheLookBeforeAPlanIsApplied(t *testing.T) {
	y := newYard(t)
	for i, repo := range []string{"app", "app", "app", "web"} {
		testbed.Random(t, y.src, repo, fmt.Sprint("v", i), testbed.RandomOptions{Seed: uint64(i + 1), Layers: 3})
	}
	file := y.planFile(whole())
	y.run(t.TempDir())
	e := y.estimate(file)
	y.forget()
	if got, _, err := y.fromFile(file, false); err != nil {
		t.Fatal(got, err)
	}
	if got := e.Registries[y.src.Host]; got.Reads != y.src.Requests() || got.Writes != 0 {
		t.Errorf("estimated %+v, it took %s", got, spent(y.src))
	}
	looks := y.dst.Count(http.MethodHead, testbed.Manifest)
	if got := e.Registries[y.dst.Host]; got.Reads != looks || looks != 4 {
		t.Errorf("estimated %+v, it took %s", got, spent(y.dst))
	}
	// That a repository was looked into is no sign that somebody began to fill it.
	if n := y.dst.Count(http.MethodHead, testbed.Blob); n != 0 {
		t.Errorf("%d blobs were asked for where nothing is: %s", n, spent(y.dst))
	}
}

func TestAnEstimateTakesOneListForManyNamesWhereItTellsDigests(t *testing.T) {
	y, _ := acrYard(t, 30)
	file := y.planFile(dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst/app"})
	e := y.estimate(file)
	y.forget()
	if got, _, err := y.fromFile(file, false); err != nil {
		t.Fatal(got, err)
	}
	if got := e.Registries[y.src.Host]; got.Reads != y.src.Requests() || y.src.Count(http.MethodHead, testbed.Manifest) != 0 {
		t.Errorf("estimated %+v, it took %s", got, spent(y.src))
	}
}

func TestWhatAnEstimateCanNotReadIsNamedAndNotCounted(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1")
	y.tagged("web", "v1")
	file := bytes.ReplaceAll(y.planFile(whole()), []byte("/web:v1@"), []byte("/gone:v1@"))
	e := y.estimate(file)
	if e.Images != 1 || len(e.Unknown) != 1 || !strings.Contains(e.Unknown[0], "/web: source: ") {
		t.Errorf("%+v", e)
	}
}

func TestAnEstimateSaysHowLongTheLimitsOfARegistryMakeIt(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	file := y.planFile(whole())
	slow, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"dst": {Host: y.dst.Host, Settings: dray.Settings{PlainHTTP: true, RequestsPerSecond: 4}},
		"src": {Host: y.src.Host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	e, err := slow.Estimate(t.Context(), dray.EstimateRequest{Plan: r}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Registries[y.dst.Host]
	want := time.Duration(got.Reads+got.Writes) * time.Second / 4
	if got.AtLeast != want || e.Time != want || len(got.Limits) != 1 || got.Limits[0] != "4 requests a second" {
		t.Errorf("%+v, want %s", e, want)
	}
}
