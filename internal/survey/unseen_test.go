package survey_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// Some registries answer 403 to a login for a name that does not exist.
func unseen(t *testing.T, why string) *yard.Yard {
	t.Helper()
	absent := hostile.Error(403, "DENIED", why).On("", testbed.Manifest)
	absent.When(func(r *http.Request) bool { return r.Method == http.MethodHead || r.Method == http.MethodGet })
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), absent))
	y.Tagged("app", "v1", "v2")
	return y
}

func TestACopyGoesOnWhereTheTargetDoesNotSayWhetherTheNameExists(t *testing.T) {
	y := unseen(t, "requested access to the resource is denied")
	var told []string
	hear := func(e event.Event) {
		if e.Kind == event.Noted {
			told = append(told, e.Text)
		}
	}
	p, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}, hear)
	rep := y.Must(y.Applied(p, err))
	if rep.Count(dray.Done) != 1 || len(told) != 1 || !strings.Contains(told[0], "does not say whether this name exists") {
		t.Errorf("%s %q\n%s", yard.States(rep), told, y.Dst.Story())
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "app", "v1")
	y.Must(y.Import(dray.ImportRequest{Source: "src/app:v2", Target: "dst", Overwrite: plan.Always}))
	y.Must(y.Import(dray.ImportRequest{Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst", Overwrite: plan.Update}))
}

func TestAnImportStopsWhereTheTargetDoesNotSayWhetherTheNameExists(t *testing.T) {
	y := unseen(t, "requested access to the resource is denied")
	for _, req := range []dray.ImportRequest{
		{Source: "src/app:v1", Target: "dst"}, {Source: "src/app", Tags: []string{"v1", "v2"}, Target: "dst"},
	} {
		rep, err := y.Import(req)
		if err == nil {
			err = rep.Err()
		}
		if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "the registry answers 403 DENIED") {
			t.Errorf("%v", err)
		}
		if len(req.Tags) == 0 && (!strings.Contains(err.Error(), "does not say whether this name exists") ||
			!strings.Contains(fault.HintOf(err), "--force")) {
			t.Errorf("%v (%s)", err, fault.HintOf(err))
		}
	}
	for _, q := range y.Dst.Log() {
		if q.Method != http.MethodHead && q.Method != http.MethodGet {
			t.Errorf("%s %s", q.Method, q.Path)
		}
	}
	_, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Backup: plan.Backup{Template: "{tag}-old"}})
	if !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "--backup") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

func TestARefusalOfThisMachineStopsACopyToo(t *testing.T) {
	y := unseen(t, "client with IP '203.0.113.9' is not allowed access")
	_, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}})
	if !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "network rule") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
