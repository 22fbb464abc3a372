package survey_test

import (
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestAMapThatCannotCountIsRefused(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	m := plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "v3"}}}
	for _, c := range []struct {
		source  string
		targets []string
		want    fault.Kind
	}{
		{"src/app:v1", []string{"dst/app:v2"}, fault.Invalid},
		{"src/app@sha256:0000000000000000000000000000000000000000000000000000000000000000", []string{"dst/app"}, fault.Invalid},
		{"src/app:v1", []string{"dst/app"}, ""},
		{"src/app:v1", []string{"dst/app:v2", "dst/other"}, ""},
	} {
		before := y.Src.Requests() + y.Dst.Requests()
		_, err := y.PlanCopy(t.Context(), dray.CopyRequest{Source: c.source, Targets: c.targets, Map: m}, nil)
		if fault.KindOf(err) != c.want || c.want != "" && y.Src.Requests()+y.Dst.Requests() != before {
			t.Errorf("%s to %v: %v", c.source, c.targets, err)
		}
	}
}
