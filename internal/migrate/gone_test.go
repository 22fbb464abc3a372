package migrate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// withGone returns a yard whose source lists app:v1, app:v2 and app:gone, and has no manifest of the last.
func withGone(t *testing.T) *yard.Yard {
	t.Helper()
	gone := hostile.Error(404, "MANIFEST_UNKNOWN", "manifest unknown").When(func(req *http.Request) bool {
		return req.Method != http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/gone")
	})
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), gone)
	y := yard.Of(t, src, testbed.Distribution(t, testbed.Options{}))
	y.Tagged("app", "v1", "v2", "gone")
	return y
}

func TestF42ATagThatIsListedAndNotThereFailsItsStep(t *testing.T) {
	y := withGone(t)
	req := yard.Whole()
	req.Map = plan.TagMap{Pairs: []plan.Pair{{From: "gone", To: "moved"}}}
	got, _, err := y.Transferred(req)
	if got != "app:moved failed, app:v1 done, app:v2 done" || !fault.Is(err, fault.NotFound) {
		t.Errorf("%s %v", got, err)
	}
	if hint := fault.HintOf(err); !strings.Contains(hint, "--skip-broken") {
		t.Errorf("%q", hint)
	}
	if got, rec, err := y.Verified(dray.VerifyRequest{Of: yard.Whole()}); got != "app:gone unknown" || !fault.Is(err, fault.NotFound) || rec.Right() {
		t.Errorf("%s %v", got, err)
	}
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/copy"}, Tags: dray.AllTags})
	if !fault.Is(err, fault.NotFound) || rep.Count(dray.Failed) != 1 || rep.Count(dray.Done) != 2 {
		t.Errorf("%+v %v", rep.Steps, err)
	}
	rep, err = y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/none"}, Tags: dray.AllTags, Hold: plan.All})
	if !fault.Is(err, fault.NotFound) || rep.Count(dray.Done) != 0 {
		t.Errorf("%+v %v", rep.Steps, err)
	}
}

func TestF42SkipBrokenLeavesOutWhatIsNotThereByName(t *testing.T) {
	y := withGone(t)
	req := yard.Whole()
	req.SkipBroken = true
	req.Also = []string{"dst/second/"}
	got, sum, err := y.Transferred(req)
	if strings.Contains(got, "gone") || strings.Count(got, "done") != 4 || err != nil {
		t.Errorf("%s %v", got, err)
	}
	gone := y.Src.Host + "/app:gone"
	if len(sum.Skipped) != 1 || sum.Skipped[0].String() != gone || len(sum.Notes) != 1 || !strings.HasSuffix(sum.Notes[0], gone) {
		t.Errorf("%v %q", sum.Skipped, sum.Notes)
	}
	rec := y.Verifies("", dray.VerifyRequest{Of: req})
	if len(rec.Skipped) != 1 || !rec.Right() {
		t.Errorf("%v", rec.Skipped)
	}
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/copy"}, Tags: dray.AllTags, SkipBroken: true})
	if err != nil || len(rep.Steps) != 2 || len(rep.Notes) != 1 || !strings.HasSuffix(rep.Notes[0], gone) {
		t.Errorf("%+v %q %v", rep.Steps, rep.Notes, err)
	}
	batch := dray.BatchRequest{Target: "dst", SkipBroken: true, Entries: []dray.BatchEntry{
		{Source: "src/app:v1", Targets: []string{"b:v1"}}, {Source: "src/app:gone", Targets: []string{"b:gone", "b:too"}},
		{Source: "src/app:typo", Targets: []string{"b:typo"}},
	}}
	rep, err = y.Applied(y.PlanBatch(t.Context(), batch, nil))
	if !fault.Is(err, fault.NotFound) || len(rep.Steps) != 2 || rep.Count(dray.Failed) != 1 || len(rep.Notes) != 1 || !strings.HasSuffix(rep.Notes[0], gone) {
		t.Errorf("%+v %q %v", rep.Steps, rep.Notes, err)
	}
	batch.SkipBroken = false
	rep, err = y.Applied(y.PlanBatch(t.Context(), batch, nil))
	if !fault.Is(err, fault.NotFound) || rep.Count(dray.Failed) != 3 {
		t.Errorf("%+v %v", rep.Steps, err)
	}
}

func TestF42SkipBrokenBelievesOnlyTheRegistryThatAManifestIsGone(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html"}}
	for body, mine := range map[string]bool{
		"<html><title>404 Not Found</title></html>": false, "<p>gone": false, "404 page not found\n": false, `{"message":"no route"}`: false,
		"": true, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`: true,
	} {
		gone := hostile.Status(404, page, body).When(func(req *http.Request) bool {
			return req.Method != http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/gone")
		})
		y := yard.Of(t, hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), gone), testbed.Distribution(t, testbed.Options{}))
		y.Tagged("app", "v1", "gone")
		req := yard.Whole()
		req.SkipBroken = true
		if _, sum, err := y.Transferred(req); mine != (err == nil) || mine != (len(sum.Skipped) == 1) {
			t.Errorf("%q: %v %v", body, sum.Skipped, err)
		}
		_, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{"dst/copy"}, Tags: dray.AllTags, SkipBroken: true})
		if mine != (err == nil) {
			t.Errorf("%q: copy: %v", body, err)
		}
		if strings.HasPrefix(body, "<p>") && !strings.Contains(err.Error(), "such as the page of a proxy") {
			t.Errorf("%v", err)
		}
		batch := dray.BatchRequest{Target: "dst", SkipBroken: true, Entries: []dray.BatchEntry{
			{Source: "src/app:v1", Targets: []string{"b:v1"}}, {Source: "src/app:gone", Targets: []string{"b:gone"}},
		}}
		if _, err := y.Applied(y.PlanBatch(t.Context(), batch, nil)); mine != (err == nil) {
			t.Errorf("%q: batch: %v", body, err)
		}
	}
}

func TestF42SkipBrokenDoesNotTrustTheDigestsOfAListing(t *testing.T) {
	y, shelf := yard.Azure(t, 2)
	for i := range shelf.Rows {
		if len(shelf.Rows[i].Tags) > 0 {
			shelf.Rows[i].Tags = append(shelf.Rows[i].Tags, "gone")
			break
		}
	}
	req := yard.Whole()
	if _, sum, err := y.Transferred(req); err != nil || len(sum.Skipped) != 0 {
		t.Fatal(err) // the manifest exists by its digest, so the tag can be copied
	}
	req.SkipBroken, req.Overwrite = true, plan.Always
	if got, sum, err := y.Transferred(req); err != nil || len(sum.Skipped) != 1 || strings.Contains(got, ":gone") {
		t.Errorf("%s %v %v", got, sum.Skipped, err)
	}
}
