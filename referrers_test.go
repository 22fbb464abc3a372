package dray_test

import (
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestARequestThatDoesNotChooseReferrersTakesTheChoiceOfTheConfig(t *testing.T) {
	y := yard.New(t)
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	d, err := dray.New(dray.Config{
		Settings: dray.Settings{PlainHTTP: true}, Referrers: plan.Referrers{Mode: plan.ReferrersRequire},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	for said, want := range map[plan.ReferrerMode]plan.ReferrerMode{
		"": plan.ReferrersRequire, plan.ReferrersNone: plan.ReferrersNone, plan.ReferrersMoving: plan.ReferrersMoving,
	} {
		choice := plan.Referrers{Mode: said}
		source, target := y.Src.Host+"/app:v1", y.Dst.Host+"/app:v1"
		cp, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: source, Targets: []string{target}, Referrers: choice}, nil)
		if err != nil || cp.Plan.Referrers.Mode != want {
			t.Errorf("copy, %q: %v, %v", said, cp.Plan.Referrers, err)
		}
		imp, err := d.PlanImport(t.Context(), dray.ImportRequest{Source: source, Target: y.Dst.Host, Referrers: choice}, nil)
		if err != nil || imp.Plan.Referrers.Mode != want {
			t.Errorf("import, %q: %v, %v", said, imp.Plan.Referrers, err)
		}
		entries := []dray.BatchEntry{{Source: source, Targets: []string{target}}}
		batch, err := d.PlanBatch(t.Context(), dray.BatchRequest{Entries: entries, Referrers: choice}, nil)
		if err != nil || batch.Plan.Referrers.Mode != want {
			t.Errorf("batch, %q: %v, %v", said, batch.Plan.Referrers, err)
		}
	}
	_, err = dray.New(dray.Config{Referrers: plan.Referrers{Mode: "some"}})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}
