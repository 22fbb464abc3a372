package dray_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
)

// written is the plan file of a transfer.
func (y *yard) written(req dray.TransferRequest) []byte {
	y.t.Helper()
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, plan.Plan{Verb: "transfer", Overwrite: plan.Update, Hold: plan.Each, Backup: req.Backup})
	if err != nil {
		y.t.Fatal(err)
	}
	_, err = y.PlanTransfer(y.t.Context(), req, nil, func(p dray.RepositoryPlan) error {
		for _, s := range p.Steps {
			if err := w.Step(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		y.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		y.t.Fatal(err)
	}
	return b.Bytes()
}

// fromFile applies a plan file and lists "REPO:TAG STATE", sorted.
func (y *yard) fromFile(file []byte, follow bool) (string, dray.TransferReport, error) {
	y.t.Helper()
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		y.t.Fatal(err)
	}
	var lines []string
	sum, err := y.ApplyFile(y.t.Context(), dray.PlanFileRequest{Plan: r, Follow: follow}, nil, func(r dray.RepositoryReport) error {
		for _, s := range r.Steps {
			line := fmt.Sprintf("%s:%s %s", s.To.Path, s.To.Tag, s.State)
			if s.Err != nil {
				line += " " + string(fault.KindOf(s.Err))
			}
			lines = append(lines, line)
		}
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ", "), sum, err
}

func TestAPlanFileOfATransferIsTheSameEachTimeAndDoneStepByStep(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2", "v3", "v4", "v5")
	y.tagged("web", "v1")
	testbed.Random(t, y.dst, "app", "v4", testbed.RandomOptions{Seed: 4}) // right already
	file := y.written(whole())
	if again := y.written(whole()); !bytes.Equal(file, again) {
		t.Errorf("two plans of one state:\n%s\n%s", file, again)
	}
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Seed: 60}) // the source moved
	testbed.Random(t, y.dst, "app", "v2", testbed.RandomOptions{Seed: 61}) // the target moved
	testbed.Random(t, y.dst, "app", "v4", testbed.RandomOptions{Seed: 62}) // what was right is not
	testbed.Random(t, y.dst, "web", "v1", testbed.RandomOptions{Seed: 1})  // somebody did it
	got, sum, err := y.fromFile(file, false)
	if got != "app:v1 failed moved, app:v2 failed moved, app:v3 done, app:v4 failed moved, app:v5 done, web:v1 unchanged" || !fault.Is(err, fault.Moved) {
		t.Errorf("%s %v", got, err)
	}
	if sum.Verb != "transfer" || sum.States[dray.Failed] != 3 {
		t.Errorf("%+v", sum)
	}
	got, sum, err = y.fromFile(file, true)
	if got != "app:v1 done, app:v2 done, app:v3 unchanged, app:v4 done, app:v5 unchanged, web:v1 unchanged" || err != nil || sum.Retagged != 2 {
		t.Errorf("followed: %s %v %+v", got, err, sum)
	}
	testbed.Same(t, y.src, y.dst, "app", "v1", "app", "v1")
	y.forget()
	if got, _, err = y.fromFile(y.written(whole()), false); strings.Count(got, "unchanged") != 6 || err != nil || y.dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("again: %s %v\n%s", got, err, spent(y.dst))
	}
}

func TestAStepWhoseSourceIsGoneFailsAlone(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	file := bytes.Replace(y.written(whole()), []byte("/app:v1"), []byte("/app:v0"), 1)
	for _, follow := range []bool{false, true} {
		got, _, err := y.fromFile(file, follow)
		if !strings.HasPrefix(got, "app:v1 failed moved, app:v2 ") || !fault.Is(err, fault.Moved) || !strings.Contains(err.Error(), "it is absent") {
			t.Errorf("%s %v", got, err)
		}
	}
}

func TestAPlanToBeDoneWholeIsNotBegunWhereAStepMoved(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2")
	p, err := y.PlanImport(t.Context(), dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst", Hold: plan.All}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.src, "app", "v1", testbed.RandomOptions{Seed: 60})
	got, _, err := y.fromFile(file.Bytes(), false)
	if got != "app:v1 failed moved, app:v2 not_started" || !fault.Is(err, fault.Moved) || y.dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("%s %v", got, err)
	}
	if got, _, err = y.fromFile(file.Bytes(), true); got != "app:v1 done, app:v2 done" || err != nil {
		t.Errorf("followed: %s %v", got, err)
	}
}

func TestAPlanFileOfSeveralTargetsReadsEachImageOnce(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1", "v2", "v3")
	dir := "oci:" + t.TempDir() + "/layout"
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app", Targets: []string{"dst/one", "dst/two", dir}, Tags: dray.AllTags}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	y.forget()
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
	if y.src.Count(http.MethodGet, testbed.Manifest) != 3 {
		t.Errorf("%s", spent(y.src))
	}
}

func TestABadLineOfAPlanFileEndsItsApplication(t *testing.T) {
	y := newYard(t)
	y.tagged("app", "v1")
	file := bytes.Replace(y.written(whole()), []byte(plan.End), []byte("{}\n"+plan.End), 1)
	if _, _, err := y.fromFile(file, false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "{}", `{"plan":2,"verb":"transfer","overwrite":"update"}`} {
		if _, err := plan.NewReader(strings.NewReader(bad)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
