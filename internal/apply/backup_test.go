package apply_test

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

func kept(template string) plan.Backup { return plan.Backup{Template: template, Date: "20260301"} }

func TestATagThatIsOverwrittenIsKeptUnderAnotherNameFirst(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	v2 := testbed.Random(t, y.Dst, "app", "v2", testbed.RandomOptions{Seed: 50})
	testbed.Random(t, y.Dst, "app", "v3", testbed.RandomOptions{Seed: 3})
	req := yard.Whole()
	req.Backup = kept("{tag}-{date}-{digest12}")
	want := "v2-20260301-" + v2.Root.Digest.Encoded()[:12]
	y.Forget()
	var steps []dray.StepReport
	sum, err := y.Transfer(t.Context(), req, nil, func(r dray.RepositoryReport) error { steps = append(steps, r.Steps...); return nil })
	if err != nil || len(steps) != 3 || steps[1].Backup != want || steps[0].Backup != "" || len(sum.Retags) != 1 || sum.Retags[0].Kept != want {
		t.Fatalf("%+v %v %+v", steps, err, sum.Retags)
	}
	if got := testbed.CraneDigest(t, y.Dst, "app", want); got != v2.Digest() {
		t.Errorf("%s holds %s, want %s", want, got, v2.Digest())
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v2", "app", "v2")
	if got := y.Dst.Count(http.MethodPut, testbed.Manifest); got != 3 { // v1, v2 and the backup
		t.Errorf("%d manifests put\n%s", got, y.Dst.Story())
	}
	if got, err := y.Planned(req); got != "skip app:v1, skip app:v2, skip app:v3" || err != nil {
		t.Errorf("again: %s %v", got, err)
	}
	// The backup is made before the tag moves.
	at := map[string]int{}
	for i, q := range y.Dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest {
			at[q.Ref] = i
		}
	}
	if at[want] == 0 || at[want] > at["v2"] {
		t.Errorf("%v", at)
	}
}

func TestABackupOfCopyAndImportCostsALookAndTwoRequests(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	old := testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 50})
	y.Forget()
	rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Backup: kept("{tag}-old")}))
	if rep.Count(dray.Done) != 1 || testbed.CraneDigest(t, y.Dst, "app", "v1-old") != old.Digest() {
		t.Errorf("%s", yard.States(rep))
	}
	copied := testbed.CraneDigest(t, y.Dst, "app", "v1")
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 51})
	rep = y.Must(y.Import(dray.ImportRequest{Source: "src/app:v1", Target: "dst", Overwrite: plan.Update, Backup: kept("{tag}-{digest12}")}))
	if rep.Count(dray.Done) != 1 || testbed.CraneDigest(t, y.Dst, "app", rep.Steps[0].Backup) != copied {
		t.Errorf("%s", yard.States(rep))
	}
	_, err := y.Import(dray.ImportRequest{Source: "src/app:v1", Target: "dst", Backup: kept("{tag}-old")})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a backup where nothing is overwritten: %v", err)
	}
}

func TestABackupNameThatIsTakenIsAConflictOfItsStepAlone(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3", "v4")
	for i, tag := range []string{"v1", "v2", "v3", "v1-old"} {
		testbed.Random(t, y.Dst, "app", tag, testbed.RandomOptions{Seed: uint64(50 + i)})
	}
	testbed.Random(t, y.Dst, "app", "v2-old", testbed.RandomOptions{Seed: 51}) // already backed up, by a run that was interrupted
	req := yard.Whole()
	req.Backup = kept("{tag}-old")
	got, _, err := y.Transferred(req)
	if got != "app:v1 failed, app:v2 done, app:v3 done, app:v4 done" || !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "app:v1-old points to sha256:") {
		t.Errorf("%s %v", got, err)
	}
	if was := testbed.CraneDigest(t, y.Dst, "app", "v1"); !strings.Contains(err.Error(), was) {
		t.Errorf("v1 is %s: %v", was, err)
	}
	// Two tags with the same backup name, and a backup name that the transfer itself sets.
	y = yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 60})
	testbed.Random(t, y.Dst, "app", "v2", testbed.RandomOptions{Seed: 61})
	req.Backup = plan.Backup{Template: "before"}
	if got, _, err := y.Transferred(req); got != "app:v1 done, app:v2 failed, app:v3 done" || !fault.Is(err, fault.Conflict) {
		t.Errorf("same backup name: %s %v", got, err)
	}
	req.Backup = plan.Backup{Template: "v3"}
	if got, err := y.Planned(req); got != "skip app:v1, broken app:v2, skip app:v3" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	for _, template := range []string{"{tag}", "{x}", "a b", "{tag}/x", "{date}"} {
		req.Backup = plan.Backup{Template: template}
		if _, err := y.Planned(req); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", template, err)
		}
	}
}

func TestAPlanFileKeepsItsBackupsAndHoldsTheirNamesAgainstTheTarget(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	for i, tag := range []string{"v1", "v2", "v3"} {
		testbed.Random(t, y.Dst, "app", tag, testbed.RandomOptions{Seed: uint64(50 + i)})
	}
	req := yard.Whole()
	req.Backup = kept("{tag}-{digest12}")
	file := y.Written(req)
	if again := y.Written(req); !bytes.Equal(file, again) || bytes.Count(file, []byte(`"backup":"v`)) != 3 || !bytes.Contains(file, []byte(`"backup":{"template":"{tag}-{digest12}","date":"20260301"}`)) {
		t.Fatalf("%s", file)
	}
	moved := testbed.Random(t, y.Dst, "app", "v2", testbed.RandomOptions{Seed: 70})
	r, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	taken := ""
	for {
		s, err := r.Next()
		if err != nil {
			break
		}
		if s.To.Tag == "v3" {
			taken = s.Backup
		}
	}
	testbed.Random(t, y.Dst, "app", taken, testbed.RandomOptions{Seed: 71})
	got, _, err := y.FromFile(file, false)
	if got != "app:v1 done, app:v2 failed moved, app:v3 failed moved" || !fault.Is(err, fault.Moved) {
		t.Errorf("%s %v", got, err)
	}
	got, sum, err := y.FromFile(file, true)
	if got != "app:v1 unchanged, app:v2 done, app:v3 failed moved" || len(sum.Retags) == 0 {
		t.Fatalf("%s %v %+v", got, err, sum)
	}
	if name := "v2-" + moved.Root.Digest.Encoded()[:12]; testbed.CraneDigest(t, y.Dst, "app", name) != moved.Digest() {
		t.Errorf("%s is not %s", name, moved.Digest())
	}
	// A plan that is applied as a whole.
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v3", Targets: []string{"dst/app:v3"}, Backup: kept("{tag}-again")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	testbed.Random(t, y.Dst, "app", "v3-again", testbed.RandomOptions{Seed: 72})
	if _, err := y.Applied(dray.ReadPlan(bytes.NewReader(b.Bytes()))); !fault.Is(err, fault.Moved) {
		t.Errorf("%v", err)
	}
}

func TestATagThatCanNotBeKeptIsNotMoved(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	dst := testbed.Serve(t, refusing(testbed.NewDistribution(t, testbed.Options{}), "/manifests/v1-old"), testbed.Options{})
	y := yard.Of(t, src, dst)
	y.Tagged("app", "v1", "latest")
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{Seed: 50})
	testbed.Random(t, y.Dst, "app", "latest", testbed.RandomOptions{Seed: 51})
	was := testbed.CraneDigest(t, y.Dst, "app", "v1")
	req := yard.Whole()
	req.Backup = kept("{tag}-old")
	got, _, err := y.Transferred(req)
	if got != "app:latest done, app:v1 failed" || !fault.Is(err, fault.Denied) || testbed.CraneDigest(t, y.Dst, "app", "v1") != was {
		t.Errorf("%s %v", got, err)
	}
}

// refusing answers 403 to a PUT at path.
func refusing(next http.Handler, path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, path) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
}
