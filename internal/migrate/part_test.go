package migrate_test

import (
	"fmt"
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

// wide returns a yard with two more targets. The faults apply to the last one.
func wide(t *testing.T, faults ...*hostile.Fault) (y *yard.Yard, second, third *testbed.Registry) {
	t.Helper()
	open := testbed.Options{Content: testbed.Open}
	src, dst := testbed.Distribution(t, open), testbed.Distribution(t, open)
	second = testbed.Distribution(t, open)
	third = hostile.New(t, testbed.NewDistribution(t, open), faults...)
	plain := dray.Settings{PlainHTTP: true}
	d, err := dray.New(dray.Config{Limits: dray.Limits{Retries: 1}, Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: plain}, "dst": {Host: dst.Host, Settings: plain},
		"second": {Host: second.Host, Settings: plain}, "third": {Host: third.Host, Settings: plain}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &yard.Yard{Dray: d, T: t, Src: src, Dst: dst}, second, third
}

func TestSeveralTargetsAreServedByOneReading(t *testing.T) {
	y, second, third := wide(t)
	y.Tagged("app", "v1", "v2")
	names := map[string]string{y.Dst.Host: "dst", second.Host: "second", third.Host: "third"}
	testbed.Same(t, y.Src, y.Src, "app", "v1", "app", "v1")
	testbed.Random(t, second, "m/app", "v1", testbed.RandomOptions{Seed: 90}) // only the second target has another image under this tag
	y.Forget()
	req := dray.TransferRequest{Sources: []string{"src"}, Target: "dst", Also: []string{"second/m/", "third"}}
	got, sum, err := y.Outcomes(req, names)
	if want := "dst/app:v1 done, dst/app:v2 done, second/m/app:v1 done, second/m/app:v2 done, third/app:v1 done, third/app:v2 done"; got != want || err != nil {
		t.Errorf("%s %v", got, err)
	}
	if sum.Repositories != 3 || sum.Retagged != 1 {
		t.Errorf("%+v", sum)
	}
	blobs := map[string]int{}
	for _, q := range y.Src.Log() {
		if at := testbed.Parse(q.Path); q.Method == http.MethodGet && at.Kind == testbed.Blob {
			blobs[q.Path]++
		}
	}
	for path, n := range blobs {
		if n != 1 {
			t.Errorf("%s was read %d times", path, n)
		}
	}
	if lists := y.Src.Count(http.MethodGet, testbed.Tags); lists != 1 || len(blobs) == 0 {
		t.Errorf("%d lists of tags, %d blobs: %s", lists, len(blobs), yard.Spent(y.Src))
	}
	testbed.Same(t, y.Src, second, "app", "v2", "m/app", "v2")
	testbed.Same(t, y.Src, third, "app", "v1", "app", "v1")
	y.Forget()
	if got, _, err := y.Outcomes(req, names); strings.Count(got, "unchanged") != 6 || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestOneTargetInTroubleStopsNoOther(t *testing.T) {
	refuses := hostile.Status(403, nil, "").When(func(q *http.Request) bool { return q.Method == http.MethodPost })
	y, second, third := wide(t, refuses)
	y.Tagged("app", "v1")
	names := map[string]string{y.Dst.Host: "dst", second.Host: "second", third.Host: "third"}
	req := dray.TransferRequest{Sources: []string{"src"}, Target: "third", Also: []string{"dst", "second"}}
	got, sum, err := y.Outcomes(req, names)
	if got != "dst/app:v1 done, second/app:v1 done, third/app:v1 failed" || !fault.Is(err, fault.Denied) || sum.States[dray.Failed] != 1 {
		t.Errorf("%s %v", got, err)
	}
	blind := hostile.Status(500, nil, "").When(func(q *http.Request) bool { return q.Method == http.MethodGet || q.Method == http.MethodHead })
	y, second, third = wide(t, blind)
	y.Tagged("app", "v1")
	names = map[string]string{y.Dst.Host: "dst", second.Host: "second", third.Host: "third"}
	got, _, err = y.Outcomes(req, names)
	if got != "dst/app:v1 done, second/app:v1 done, third/app: failed" || err == nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestTargetsThatAreOnePlaceAreRefused(t *testing.T) {
	y, _, _ := wide(t)
	y.Tagged("team/app", "v1")
	y.Forget()
	for _, also := range []string{"dst", "dst/app", "dst/app:v1", "oci:x"} {
		if _, _, err := y.Outcomes(dray.TransferRequest{Sources: []string{"src"}, Target: "dst", Also: []string{also}}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", also, err)
		}
	}
	y.WantSpent("", "")
	req := dray.TransferRequest{Sources: []string{"src"}, Target: "dst", Also: []string{"dst/m/"}, Mapping: plan.Mapping{StripPrefix: "team"}}
	if got, _, err := y.Outcomes(req, map[string]string{y.Dst.Host: "dst"}); got != "dst/app:v1 done, dst/m/app:v1 done" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestTheReportOfARunWithTroubleAddsUpToo(t *testing.T) {
	cut := hostile.CutBodyAt(20<<10).Nth(2, 5, 6)
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), cut, hostile.Status(http.StatusBadGateway, nil, "").On(http.MethodHead, testbed.Manifest).Nth(2))
	dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.TooMany("0").On(http.MethodPost, testbed.Upload).Nth(3),
		hostile.Error(http.StatusForbidden, "DENIED", "no").On(http.MethodPut, testbed.Manifest).At("v3"))
	y := yard.Of(t, src, dst)
	for i := range 4 {
		testbed.Random(t, y.Src, "app", fmt.Sprint("v", i), testbed.RandomOptions{Seed: uint64(i + 1), Layers: 2, Size: 64 << 10})
	}
	y.Forget()
	got, sum, err := y.Transferred(dray.TransferRequest{Sources: []string{"src"}, Target: "dst", Also: []string{"dst/also/"}})
	if !fault.Is(err, fault.Denied) || strings.Count(got, "failed") != 2 || strings.Count(got, "done") != 6 {
		t.Errorf("%s %v", got, err)
	}
	y.Spends(sum.Traffic, y.Src, y.Dst)
	if retries := sum.Traffic[y.Src.Host].Retries + sum.Traffic[y.Dst.Host].Retries; retries != 2 || cut.Fired() != 3 { // an interrupted body is resumed at once, which is no retry
		t.Errorf("%d retries, %d bodies were cut", retries, cut.Fired())
	}
}
