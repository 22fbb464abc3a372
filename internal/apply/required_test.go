package apply_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// picky is a yard whose target refuses manifests with a subject until it is repaired.
type picky struct {
	*yard.Yard
	repaired atomic.Bool
	image    testbed.Image
	sbom     testbed.Image
	signed   testbed.Image
}

func newPicky(t *testing.T) *picky {
	t.Helper()
	with := testbed.Options{Referrers: testbed.WithReferrers}
	p := &picky{}
	behind := testbed.NewSloppy(with)
	target := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		last := oci.Digest(filepath.Base(q.URL.Path))
		if q.Method == http.MethodPut && !p.repaired.Load() && (last == p.sbom.Root.Digest || last == p.signed.Root.Digest) {
			testbed.Refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "a subject is not supported")
			return
		}
		behind.ServeHTTP(w, q)
	})
	src := testbed.Sloppy(t, with)
	p.image = testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	p.sbom = testbed.Artifact(t, src, "app", "", p.image.Root)
	p.signed = testbed.Artifact(t, src, "app", "", p.sbom.Root)
	p.Yard = yard.Of(t, src, testbed.Serve(t, target, testbed.Options{}))
	p.Run(t.TempDir())
	return p
}

func TestWhatIsRequiredIsRequiredAlsoOfAnImageThatIsUpToDate(t *testing.T) {
	p := newPicky(t)
	must := plan.Referrers{Mode: plan.ReferrersRequire}
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Referrers: must}
	for range 2 {
		rep, err := p.Copy(req)
		lost := rep.Referrers().Lost
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "is not all there") || !rep.Steps[0].Arrived ||
			len(lost) != 2 {
			t.Errorf("%v %+v", err, rep.Steps)
		}
	}
	move := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app", Referrers: must}
	if _, sum, err := p.Transferred(move); !fault.Is(err, fault.Refused) || sum.States[report.Failed] != 1 {
		t.Errorf("%v %+v", err, sum)
	}

	p.repaired.Store(true)
	if rep := p.Must(p.Copy(req)); rep.Referrers().Copied != 2 {
		t.Errorf("%+v", rep.Referrers())
	}
	if rep := p.Must(p.Copy(req)); rep.Referrers().Copied != 0 {
		t.Errorf("%+v", rep.Referrers())
	}
}

// What the choice leaves out and what the source has lost are not required.
func TestARefusalCountsOnlyForWhatIsRequiredNow(t *testing.T) {
	p := newPicky(t)
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"},
		Referrers: plan.Referrers{Mode: plan.ReferrersRequire}}
	if _, err := p.Copy(req); !fault.Is(err, fault.Refused) {
		t.Error(err)
	}
	chosen := req
	chosen.Referrers.Types = []string{"application/other"}
	p.Must(p.Copy(chosen))
	if _, err := p.Copy(req); !fault.Is(err, fault.Refused) {
		t.Errorf("all of it is required again: %v", err)
	}
	for _, d := range []string{p.signed.Digest(), p.sbom.Digest()} {
		p.Src.Direct(t, http.MethodDelete, "/v2/app/manifests/"+d, nil, nil, nil)
	}
	p.Must(p.Copy(req))
}

func TestWhatATargetKeepsIsRequiredInEachRun(t *testing.T) {
	y := newResigned(t, []string{"ours"}, []string{"theirs"})
	y.copy.Targets, y.copy.Referrers.Mode = []string{"dst/app:v2"}, plan.ReferrersRequire
	for range 2 {
		rep, err := y.Copy(y.copy)
		if !fault.Is(err, fault.Refused) || !rep.Steps[0].Arrived || rep.Referrers().Kept != 1 {
			t.Errorf("%v %+v", err, rep.Steps)
		}
	}
}

func TestAVerificationThatHealsTriesWhatWasRefusedAgain(t *testing.T) {
	p := newPicky(t)
	p.Must(p.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}))
	req := dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{"src/app:v1"}, Target: "dst/app:v1"}, Depth: dray.Deep}
	notes := func(r dray.Receipt, words string) {
		t.Helper()
		all := strings.Join(r.Notes, "\n")
		for _, d := range []string{p.sbom.Digest(), p.signed.Digest()} {
			if !strings.Contains(all, words+p.Dst.Host+"/app@"+d) {
				t.Errorf("%s is not noted: %s", d, all)
			}
		}
	}
	notes(p.Verifies("", req), "not at the target, which refused it when it was copied: ")
	req.Heal = true
	r := p.Verifies("", req) // it refuses them once more, and nothing was healed
	notes(r, "not at the target, which refuses it: ")
	if r.Healed != 0 {
		t.Errorf("%+v", r)
	}
	move := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app", Heal: true}
	if got, sum, err := p.Transferred(move); got != "" || err != nil || sum.Healed != 0 {
		t.Errorf("%s %v %+v", got, err, sum)
	}
	p.repaired.Store(true)
	p.Verifies("app:v1 same healed", req)
	testbed.Same(t, p.Src, p.Dst, "app", p.signed.Digest(), "app", p.signed.Digest())
	req.Heal = false
	if r := p.Verifies("", req); len(r.Notes) != 0 {
		t.Errorf("%q", r.Notes)
	}
	p.Must(p.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"},
		Referrers: plan.Referrers{Mode: plan.ReferrersRequire}})) // and it is forgotten that they were refused
}

func TestADirectoryThatCannotHoldWhatIsRequiredGetsNothing(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	digestTagged(t, y.Src, "app", img.Root.Digest, ".sig")
	dir := filepath.Join(t.TempDir(), "dir")
	notes := 0
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dir:" + dir},
		Referrers: plan.Referrers{Mode: plan.ReferrersRequire}}
	p, err := y.Dray.PlanCopy(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := y.Dray.Apply(t.Context(), p, func(e event.Event) {
		if e.Kind == event.Noted {
			notes++
		}
	})
	if !fault.Is(err, fault.Refused) || rep.Steps[0].Arrived || notes != 0 || y.Src.Count(http.MethodGet, testbed.Blob) != 0 {
		t.Errorf("%v %+v, %d notes\n%s", err, rep.Steps, notes, y.Src.Story())
	}
	if left, _ := filepath.Glob(dir + "*"); left != nil {
		t.Errorf("%q", left)
	}
}

// A registry that collects garbage may forget to take a referrer from its list.
func TestAReferrerThatTheSourceListsAndLacksIsANoteForACopyAndAVerification(t *testing.T) {
	y := yard.Of(t, testbed.Sloppy(t, testbed.Options{}), testbed.Sloppy(t, testbed.Options{Referrers: testbed.WithReferrers}))
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	stale := testbed.Artifact(t, y.Src, "app", "", img.Root)
	y.Src.Direct(t, http.MethodDelete, "/v2/app/manifests/"+stale.Digest(), nil, nil, nil)
	for _, mode := range []plan.ReferrerMode{"", plan.ReferrersRequire} {
		choice := plan.Referrers{Mode: mode}
		y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Referrers: choice}))
		of := dray.TransferRequest{Sources: []string{"src/app:v1"}, Target: "dst/app:v1", Referrers: choice}
		for _, heal := range []bool{false, true} {
			r := y.Verifies("", dray.VerifyRequest{Of: of, Depth: dray.Deep, Heal: heal})
			if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "the source lists a referrer that it does not have") {
				t.Errorf("%q", r.Notes)
			}
		}
	}
}

func TestAPlanInSyncNamesWhatImagesThatAreUpToDateLack(t *testing.T) {
	y := signedYard(t)
	img := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	first := testbed.Artifact(t, y.Src, "app", "", img.Root)
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}
	y.Must(y.Copy(req))
	later := testbed.Artifact(t, y.Src, "app", "", first.Root)
	tag := digestTagged(t, y.Src, "app", img.Root.Digest, ".sig")
	req.Referrers.Mode = plan.ReferrersSync
	p, err := y.Dray.PlanCopy(t.Context(), req, nil)
	if err == nil {
		err = y.Dray.FindReferrers(t.Context(), p)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Steps[0]; s.Action != plan.Skip || len(s.Referrers) != 2 {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{"/app@" + later.Digest(), "/app:" + tag} {
		if !strings.Contains(p.Plan.String(), "\n  with    "+y.Src.Host+name) {
			t.Errorf("%s", p.Plan)
		}
	}
	if rep := y.Must(y.Dray.Apply(t.Context(), p, nil)); rep.Referrers().Copied != 2 {
		t.Errorf("%+v", rep.Referrers())
	}
}
