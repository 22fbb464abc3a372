package migrate_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestAPlanFileOfATransferIsTheSameEachTimeAndDoneStepByStep(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3", "v4", "v5")
	y.Tagged("web", "v1")
	testbed.Random(t, y.Dst, "app", "v4", testbed.RandomOptions{Seed: 4}) // already up to date
	file := y.Written(yard.Whole())
	if again := y.Written(yard.Whole()); !bytes.Equal(file, again) {
		t.Errorf("two plans of the same state differ:\n%s\n%s", file, again)
	}
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 60}) // the source moved
	testbed.Random(t, y.Dst, "app", "v2", testbed.RandomOptions{Seed: 61}) // the target moved
	testbed.Random(t, y.Dst, "app", "v4", testbed.RandomOptions{Seed: 62}) // was up to date when the plan was made
	testbed.Random(t, y.Dst, "web", "v1", testbed.RandomOptions{Seed: 1})  // somebody else copied it
	got, sum, err := y.FromFile(file, false)
	if got != "app:v1 failed moved, app:v2 failed moved, app:v3 done, app:v4 failed moved, app:v5 done, web:v1 unchanged" || !fault.Is(err, fault.Moved) {
		t.Errorf("%s %v", got, err)
	}
	if sum.Verb != "transfer" || sum.States[dray.Failed] != 3 {
		t.Errorf("%+v", sum)
	}
	got, sum, err = y.FromFile(file, true)
	if got != "app:v1 done, app:v2 done, app:v3 unchanged, app:v4 done, app:v5 unchanged, web:v1 unchanged" || err != nil || sum.Retagged != 2 {
		t.Errorf("with Follow: %s %v %+v", got, err, sum)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v1")
	y.Forget()
	if got, _, err = y.FromFile(y.Written(yard.Whole()), false); strings.Count(got, "unchanged") != 6 || err != nil || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("again: %s %v\n%s", got, err, yard.Spent(y.Dst))
	}
}

func TestAStepWhoseSourceIsGoneFailsAlone(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	file := bytes.Replace(y.Written(yard.Whole()), []byte("/app:v1"), []byte("/app:v0"), 1)
	for _, follow := range []bool{false, true} {
		got, _, err := y.FromFile(file, follow)
		if !strings.HasPrefix(got, "app:v1 failed moved, app:v2 ") || !fault.Is(err, fault.Moved) || !strings.Contains(err.Error(), "it is absent") {
			t.Errorf("%s %v", got, err)
		}
	}
}

func TestAPlanToBeDoneWholeIsNotBegunWhereAStepMoved(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	p, err := y.PlanImport(t.Context(), dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst", Hold: plan.All}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 60})
	got, _, err := y.FromFile(file.Bytes(), false)
	if got != "app:v1 failed moved, app:v2 not_started" || !fault.Is(err, fault.Moved) || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("%s %v", got, err)
	}
	if got, _, err = y.FromFile(file.Bytes(), true); got != "app:v1 done, app:v2 done" || err != nil {
		t.Errorf("with Follow: %s %v", got, err)
	}
}

func TestAPlanFileOfSeveralTargetsReadsEachImageOnce(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	dir := "oci:" + t.TempDir() + "/layout"
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app", Targets: []string{"dst/one", "dst/two", dir}, Tags: dray.AllTags,
		Referrers: plan.Referrers{Mode: plan.ReferrersNone}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	y.Forget()
	r, err := plan.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	visits := map[string]int{}
	sum, err := y.ApplyFile(t.Context(), dray.PlanFileRequest{Plan: r}, nil, func(r dray.RepositoryReport) error {
		visits[r.To.Path] += len(r.Steps)
		return nil
	})
	if err != nil || sum.States[dray.Done] != 9 || sum.Repositories != 3 || visits["one"] != 3 || visits["two"] != 3 {
		t.Errorf("%v %+v %v", err, sum, visits)
	}
	if y.Src.Count(http.MethodGet, testbed.Manifest) != 3 {
		t.Errorf("%s", yard.Spent(y.Src))
	}
}

func TestABadLineOfAPlanFileEndsItsApplication(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	file := bytes.Replace(y.Written(yard.Whole()), []byte(plan.End), []byte("{}\n"+plan.End), 1)
	if _, _, err := y.FromFile(file, false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "{}", `{"plan":2,"verb":"transfer","overwrite":"update"}`} {
		if _, err := plan.NewReader(strings.NewReader(bad)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
