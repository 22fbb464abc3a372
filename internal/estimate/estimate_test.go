package estimate_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// planFile returns the plan file of a transfer.
func planFile(y *yard.Yard, req dray.TransferRequest) []byte {
	y.T.Helper()
	var out bytes.Buffer
	w, err := plan.NewWriter(&out, plan.Plan{Verb: "transfer", Overwrite: plan.Update, Referrers: req.Referrers})
	if err != nil {
		y.T.Fatal(err)
	}
	if _, err := y.PlanTransfer(y.T.Context(), req, nil, func(p dray.RepositoryPlan) error {
		for _, s := range p.Steps {
			if err := w.Step(s); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		y.T.Fatal(err)
	}
	if err := w.Close(); err != nil {
		y.T.Fatal(err)
	}
	return out.Bytes()
}

func estimate(y *yard.Yard, file []byte) dray.Estimate {
	y.T.Helper()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		y.T.Fatal(err)
	}
	e, err := y.Estimate(y.T.Context(), dray.EstimateRequest{Plan: r, Rate: 1 << 20}, nil)
	if err != nil {
		y.T.Fatal(err)
	}
	return e
}

// referrersAPI makes a registry answer that nothing refers to a document.
func referrersAPI(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", oci.TypeIndex)
		_, _ = w.Write([]byte(`{"schemaVersion":2,"mediaType":"` + oci.TypeIndex + `","manifests":[]}`))
	})
}

func estimateYard(t *testing.T) *yard.Yard {
	t.Helper()
	open := testbed.Options{Content: testbed.Open, Front: referrersAPI}
	return yard.Of(t, testbed.Distribution(t, open), testbed.Distribution(t, open))
}

func TestAnEstimateIsWhatTheTransferThenTakes(t *testing.T) {
	y := estimateYard(t)
	y.Tagged("app", "v1", "v2", "latest")
	testbed.Index(t, y.Src, "multi", "v1", 2)
	testbed.Random(t, y.Src, "team/a", "v1", testbed.RandomOptions{Seed: 70}) // shares its blobs with team/b
	testbed.Random(t, y.Src, "team/b", "v1", testbed.RandomOptions{Seed: 70})
	if _, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"}); err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.Src, "app", "v3", testbed.RandomOptions{Seed: 71})
	file := planFile(y, yard.Whole())
	y.Forget()
	e := estimate(y, file)
	if y.Dst.Count(http.MethodPut, testbed.Manifest)+y.Dst.Count(http.MethodPost, testbed.Upload)+y.Dst.Count(http.MethodPut, testbed.Upload) != 0 {
		t.Errorf("an estimate wrote: %s", yard.Spent(y.Dst))
	}
	if e.Images != 4 || e.Tags != 4 || e.Mounted == 0 || e.Saved == 0 || len(e.Unknown) != 0 {
		t.Errorf("%+v", e)
	}
	if want := time.Duration(float64(e.Bytes) / (1 << 20) * float64(time.Second)); e.Time != want {
		t.Errorf("%s for %d bytes at 1 MiB/s", e.Time, e.Bytes)
	}
	y.Run("")
	_, sum, err := y.FromFile(file, false)
	if err != nil {
		t.Fatal(err)
	}
	if e.Bytes != sum.Blobs.Bytes || e.Sent != sum.Blobs.Sent || e.Mounted != sum.Blobs.Mounted || e.Present != sum.Blobs.Present {
		t.Errorf("estimated %+v, the transfer took %+v", e, sum.Blobs)
	}
	writes := y.Dst.Count(http.MethodPut, testbed.Manifest) + y.Dst.Count(http.MethodPost, testbed.Upload) +
		y.Dst.Count(http.MethodPut, testbed.Upload) + y.Dst.Count(http.MethodPatch, testbed.Upload)
	if got := e.Registries[y.Dst.Host]; got.Writes != writes || got.Sent != sum.Blobs.Bytes {
		t.Errorf("estimated %+v, the transfer took %d writes: %s", got, writes, yard.Spent(y.Dst))
	}
	reads := y.Src.Requests()
	if got := e.Registries[y.Src.Host]; got.Reads != reads || got.Received != sum.Blobs.Bytes {
		t.Errorf("estimated %+v, the transfer took %d reads: %s", got, reads, yard.Spent(y.Src))
	}
	if again := estimate(y, file); again.Bytes != 0 || again.Sent != 0 {
		t.Errorf("everything is at the target, but the estimate is %+v", again)
	}
}

func TestAnEstimateCountsTheLookBeforeAPlanIsApplied(t *testing.T) {
	y := estimateYard(t)
	for i, repo := range []string{"app", "app", "app", "web"} {
		testbed.Random(t, y.Src, repo, fmt.Sprint("v", i), testbed.RandomOptions{Seed: uint64(i + 1), Layers: 3})
	}
	file := planFile(y, yard.Whole())
	y.Run(t.TempDir())
	e := estimate(y, file)
	y.Run(t.TempDir())
	if got, _, err := y.FromFile(file, false); err != nil {
		t.Fatal(got, err)
	}
	if got := e.Registries[y.Src.Host]; got.Reads != y.Src.Requests() || got.Writes != 0 {
		t.Errorf("estimated %+v, the application took %s", got, yard.Spent(y.Src))
	}
	looks := y.Dst.Count(http.MethodHead, testbed.Manifest)
	if got := e.Registries[y.Dst.Host]; got.Reads != looks || looks != 4 {
		t.Errorf("estimated %+v, the application took %s", got, yard.Spent(y.Dst))
	}
	// An estimate looks into a repository, but this must not count as a transfer that began to fill
	// it.
	if n := y.Dst.Count(http.MethodHead, testbed.Blob); n != 0 {
		t.Errorf("%d requests for blobs of an empty repository: %s", n, yard.Spent(y.Dst))
	}
}

func TestAnEstimateTakesOneListForManyNamesWhereItTellsDigests(t *testing.T) {
	y, _ := yard.Azure(t, 30)
	alone := plan.Referrers{Mode: plan.ReferrersNone}
	file := planFile(y, dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst/app", Referrers: alone})
	e := estimate(y, file)
	y.Forget()
	if got, _, err := y.FromFile(file, false); err != nil {
		t.Fatal(got, err)
	}
	if got := e.Registries[y.Src.Host]; got.Reads != y.Src.Requests() || y.Src.Count(http.MethodHead, testbed.Manifest) != 0 {
		t.Errorf("estimated %+v, the application took %s", got, yard.Spent(y.Src))
	}
}

func TestWhatAnEstimateCanNotReadIsNamedAndNotCounted(t *testing.T) {
	y := yard.New(t)
	// The images differ: what one repository has, no other has to have.
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, y.Src, "web", "v1", testbed.RandomOptions{Seed: 2})
	file := bytes.ReplaceAll(planFile(y, yard.Whole()), []byte("/web:v1@"), []byte("/gone:v1@"))
	e := estimate(y, file)
	if e.Images != 1 || len(e.Unknown) != 1 || !strings.Contains(e.Unknown[0], "/web: source: ") {
		t.Errorf("%+v", e)
	}
}

func TestAnEstimateSaysHowLongTheLimitsOfARegistryMakeIt(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	file := planFile(y, yard.Whole())
	slow, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"dst": {Host: y.Dst.Host, Settings: dray.Settings{PlainHTTP: true, RequestsPerSecond: 4}},
		"src": {Host: y.Src.Host, Settings: dray.Settings{PlainHTTP: true}},
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
	got := e.Registries[y.Dst.Host]
	want := time.Duration(got.Reads+got.Writes) * time.Second / 4
	if got.AtLeast != want || e.Time != want || len(got.Limits) != 1 || got.Limits[0] != "4 requests a second" {
		t.Errorf("%+v, want %s", e, want)
	}
}
